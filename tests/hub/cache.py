#!/usr/bin/env python3
"""The cache of models that Budwood shares with Python's `huggingface_hub`: what one of the two fetched, the other finds.

    python3 tests/hub/cache.py BUDWOOD

Makes an environment with `huggingface_hub` where there is none (BUDWOOD_HUB_VENV names another). Both fetch the small
model of tests/golden from a server on loopback, over TLS; its certificate is made here with `openssl`.
"""
import hashlib
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import environment  # noqa: E402
import tiny  # noqa: E402

NAME = "owner/tiny"
COMMITS = {"main": "1" * 40, "v1": "2" * 40}


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does. `asked` notes what was sent whole: (commit, file)."""

    protocol_version = "HTTP/1.1"
    files = {}
    asked = []
    about = []

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = self.path.split("?")[0]
        api = f"/api/models/{NAME}"
        if path == api or path.startswith(f"{api}/revision/"):
            revision = path.rsplit("/", 1)[1] if "/revision/" in path else "main"
            commit = COMMITS.get(revision, revision)
            self.about.append(revision)
            siblings = [{"rfilename": name} for name in self.files]
            body = {"id": NAME, "sha": commit, "private": False, "siblings": siblings}
            return self.send(200, json.dumps(body).encode(), {"content-type": "application/json"})
        prefix = f"/{NAME}/resolve/"
        if not path.startswith(prefix):
            return self.send(404, b"", {})
        revision, name = path[len(prefix):].split("/", 1)
        headers = {"x-repo-commit": COMMITS.get(revision, revision)}
        if name not in self.files:
            return self.send(404, b"", headers | {"x-error-code": "EntryNotFound"})
        body = self.files[name]
        if name.endswith(".safetensors"):
            headers["x-linked-etag"] = '"' + hashlib.sha256(body).hexdigest() + '"'
            headers["x-linked-size"] = str(len(body))
        headers["etag"] = '"' + hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest() + '"'
        if self.command == "GET":
            self.asked.append((headers["x-repo-commit"], name))
            # Two that fetch at the same time meet.
            time.sleep(0.3 if name.endswith(".safetensors") else 0)
        self.send(200, body, headers)

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def serve(folder):
    """The server's address, and the file of its certificate."""
    key, cert = folder / "server.key", folder / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "basicConstraints=critical,CA:FALSE",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"https://localhost:{server.server_address[1]}", cert


class World:
    """A cache, and both programs that use it."""

    def __init__(self, program, folder, address, cert, name):
        self.program, self.home = program, folder / name
        self.home.mkdir()
        given = ("HF_", "SSL_CERT_", "REQUESTS_CA_", "CURL_CA_")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(given)}
        self.env |= {"HF_HOME": str(self.home), "HF_ENDPOINT": address, "REQUESTS_CA_BUNDLE": str(cert),
                     "SSL_CERT_FILE": str(cert), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                     "HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "localhost"}
        self.model = self.home / "hub" / "models--owner--tiny"

    def begin(self, words, offline):
        env = self.env | ({"HF_HUB_OFFLINE": "1"} if offline else {})
        return subprocess.Popen(words, env=env, cwd=self.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ours(self, name=NAME, offline=False):
        return self.begin([self.program, "inspect", name, "--json"], offline)

    def theirs(self, code, offline=False):
        before = "from huggingface_hub import *; from huggingface_hub.file_download import _CACHED_NO_EXIST; NAME = 'owner/tiny'; "
        return self.begin([sys.executable, "-c", before + code], offline)

    def snapshot(self, revision="main"):
        return self.model / "snapshots" / COMMITS[revision]

    def is_whole(self, revision="main"):
        for name, body in Hub.files.items():
            assert (self.snapshot(revision) / name).read_bytes() == body, name
        assert (self.model / "refs" / revision).read_text() == COMMITS[revision]
        left = [p.name for p in self.model.rglob("*") if p.suffix in (".incomplete", ".tmp")]
        assert not left, left


def ends(process, said=None):
    out, err = process.communicate(timeout=120)
    if said is None:
        assert process.returncode == 0, err
    else:
        assert process.returncode != 0 and said in err, (process.returncode, err)
    return out


def requests(of):
    """What was asked for since the last call."""
    asked, of[:] = list(of), []
    return asked


def ours_then_theirs(world):
    ends(world.ours())
    world.is_whole()
    requests(Hub.asked)
    # All that Python's library looks for, without the network.
    names = sorted(Hub.files)
    ends(world.theirs(f"folder = snapshot_download(NAME); assert folder == {str(world.snapshot())!r}, folder\n"
                      f"for name in {names!r}: assert hf_hub_download(NAME, name) == folder + '/' + name\n"
                      "assert try_to_load_from_cache(NAME, 'merges.txt') is _CACHED_NO_EXIST\n"
                      "found = scan_cache_dir(); assert not found.warnings, found.warnings\n"
                      "repo, = found.repos; revision, = repo.revisions; assert revision.refs == {'main'}\n"
                      f"assert repo.nb_files == {len(names)}", offline=True))
    # With the network it asks whether there is something newer, and fetches nothing.
    ends(world.theirs("snapshot_download(NAME)"))
    assert not requests(Hub.asked)


def theirs_then_ours(world):
    ends(world.theirs("snapshot_download(NAME)"))
    requests(Hub.asked), requests(Hub.about)
    ends(world.ours(offline=True))
    assert not requests(Hub.about)
    # The hub is asked once what else the commit has.
    ends(world.ours())
    assert requests(Hub.about) == [COMMITS["main"]] and not requests(Hub.asked)
    ends(world.ours())
    assert not requests(Hub.about) and not requests(Hub.asked)
    world.is_whole()


def a_part_of_theirs(world):
    part = ["config.json", "vocab.txt", "model.safetensors"]
    ends(world.theirs(f"[hf_hub_download(NAME, name) for name in {part!r}]"))
    requests(Hub.asked)
    ends(world.ours(offline=True))
    ends(world.ours())
    assert [name for _, name in requests(Hub.asked)] == ["tokenizer_config.json"]
    world.is_whole()


def revisions(world):
    ends(world.ours(f"{NAME}@v1"))
    world.is_whole("v1")
    requests(Hub.asked)
    ends(world.theirs("snapshot_download(NAME, revision='v1')", offline=True))
    ends(world.theirs(f"snapshot_download(NAME, revision={COMMITS['v1']!r})", offline=True))
    ends(world.ours(offline=True), "HF_HUB_OFFLINE")
    ends(world.theirs("snapshot_download(NAME)", offline=True), "LocalEntryNotFoundError")
    # The same bytes under another commit lie there once, and are not fetched again.
    ends(world.theirs("snapshot_download(NAME)"))
    ends(world.ours(offline=True))
    assert not requests(Hub.asked)
    world.is_whole()
    assert len(list((world.model / "blobs").iterdir())) == len(Hub.files)


def absent_by_theirs(world):
    """A file that Python's library has noted not to exist is not asked for, and the note does no harm."""
    ends(world.theirs("hf_hub_download(NAME, 'merges.txt')"), "EntryNotFoundError")
    assert (world.model / ".no_exist" / COMMITS["main"] / "merges.txt").is_file()
    ends(world.ours())
    world.is_whole()


def at_the_same_time(world):
    requests(Hub.asked)
    both = [world.theirs("snapshot_download(NAME)"), world.ours(), world.ours()]
    for process in both:
        ends(process)
    weights = [name for _, name in requests(Hub.asked) if name == "model.safetensors"]
    assert len(weights) == 1, weights
    world.is_whole()


def without_the_certificate(world):
    del world.env["SSL_CERT_FILE"], world.env["REQUESTS_CA_BUNDLE"]
    ends(world.ours(), "SSL_CERT_FILE")
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]:
        world.env[name] = str(world.cert)
        ends(world.ours())
        del world.env[name]
        subprocess.run(["rm", "-r", world.home / "hub"], check=True)


def main():
    environment.enter("hub", ["huggingface_hub==0.36.2"])
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        tiny.base(folder, ["a", "good", "film"])
        (folder / "base" / "tokenizer_config.json").write_text('{"do_lower_case": false}')
        Hub.files = {path.name: path.read_bytes() for path in (folder / "base").iterdir()}
        address, cert = serve(folder)
        tests = [ours_then_theirs, theirs_then_ours, a_part_of_theirs, revisions, absent_by_theirs, at_the_same_time,
                 without_the_certificate]
        for test in tests:
            world = World(program, folder, address, cert, test.__name__)
            world.cert = cert
            test(world)
            print(f"ok {test.__name__}", flush=True)
        print(f"{len(tests)} passed")


main()
