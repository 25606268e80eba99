#!/usr/bin/env python3
"""Adapters in an object store: a real S3 server (moto), and everything that can go wrong on the way to it.

    python3 tests/serve/objects.py BUDWOOD [--million]

BUDWOOD is a program with the feature `object-store`. Makes a virtual environment for moto in the folder for temporary files, or
where BUDWOOD_OBJECTS_VENV says. Talks to loopback only. With --million the store has a million names, made up as they are asked
for, and what a start and its memory take is printed.
"""
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]
import environment  # noqa: E402
from store_proxy import SECRET, Proxy, listen, settings  # noqa: E402
from world import Server, ask, budwood, make, metric, offline, predict, s3  # noqa: E402

TEXTS = ["so good", "it was awful", "the film is very fine", ""]


class Million(http.server.BaseHTTPRequestHandler):
    """A store with a million adapters, whose names are made as they are asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    files, count, lists = {}, 1_000_000, 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        ask = {k: v[0] for k, v in urllib.parse.parse_qs(query).items()}
        if "list-type" in ask:
            Million.lists += 1
            return self.send(200, self.list(ask.get("prefix", ""), ask.get("start-after", ""), int(ask.get("max-keys", 1000))))
        key = urllib.parse.unquote(path).split("/", 2)[2]
        match = re.fullmatch(r"all/n(\d{7})/(.+)", key)
        if not match or int(match[1]) >= self.count or match[2] not in self.files:
            return self.send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        self.send(200, self.files[match[2]])

    def list(self, prefix, after, most):
        names = sorted(self.files)
        low = re.match(r"all/n(\d{1,7})", max(prefix, after))
        first = int(low[1].ljust(7, "0")) if low else 0
        keys = []
        for i in range(max(0, first - 1), self.count):
            for name in names:
                key = f"all/n{i:07}/{name}"
                if key > after and key.startswith(prefix):
                    keys.append(key)
            if len(keys) >= most or (keys and not f"all/n{i:07}/".startswith(prefix) and prefix > "all/" and len(prefix) > 12) or i > first + most:
                break
        one = lambda k: (f"<Contents><Key>{k}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"x\"</ETag>"
                         f"<Size>{len(self.files[k.rsplit('/', 1)[1]])}</Size><StorageClass>STANDARD</StorageClass></Contents>")
        return ('<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' + "".join(map(one, keys[:most])) +
                "<IsTruncated>false</IsTruncated></ListBucketResult>").encode()

    def send(self, status, content):
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.send_header("etag", '"x"')
        self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)


def million(program, place):
    Million.files = {f.name: f.read_bytes() for f in (place / "adapters/a0").iterdir() if f.is_file()}
    port = listen(Million)
    begin = time.time()
    server = Server(program, place, "--adapters", "s3://bucket/all", "--disk-cache", "million", "--disk-cache-size", "5", "--cache", "1", environment=settings(port))
    try:
        started, lists = time.time() - begin, Million.lists
        wanted = offline(program, place, "adapters/a0", TEXTS[:1])[0]
        predict(server.port, "n0000000", TEXTS[0])
        before, times = server.memory(), []
        for i in range(1000):
            begin = time.time()
            status, told, _ = predict(server.port, f"n{i * 997:07}", TEXTS[0])
            times.append(time.time() - begin)
            assert status == 200 and told == wanted, (i, status, told)
        after, names = "n0500000", []
        for _ in range(3):
            page = ask(server.port, "GET", f"/adapters?after={after}&limit=1000")[1]
            names += [a["name"] for a in page["adapters"]]
            after = page["next"]
        assert names == [f"n{500001 + i:07}" for i in range(3000)], names[:3]
        assert predict(server.port, "n1000000", TEXTS[0])[0] == 404
        kept = sum(f.stat().st_size for f in (place / "million").rglob("*") if f.is_file())
        print(f"a million names: start {started:.2f} s with {lists} lists; memory {before:.0f} MB, after 1,000 of them {server.memory():.0f} MB; "
              f"one from the store {sorted(times)[500] * 1e3:.1f} ms at the median; disk {kept / 1e6:.1f} MB")
        assert started < 5 and lists < 5 and server.memory() < before + 30 and kept < 6_000_000
    finally:
        server.end()


def main(program, with_million):
    place = pathlib.Path(tempfile.mkdtemp(prefix="budwood-objects-"))
    store = server = None
    try:
        make(program, place, 4)
        if with_million:
            return million(program, place)
        store, Proxy.upstream, client = s3("bucket")

        def upload(adapter, name):
            for file in (place / "adapters" / adapter).iterdir():
                if file.is_file():
                    client.upload_file(str(file), "bucket", f"models/{name}/{file.name}")

        for i in range(4):
            upload(f"a{i}", f"a{i}")
            upload(f"a{i}", f"team/b{i}")
        client.put_object(Bucket="bucket", Key="models/readme.txt", Body=b"no adapter")
        client.put_object(Bucket="bucket", Key="models/empty/other.bin", Body=b"no adapter")
        wanted = {f"a{i}": offline(program, place, f"adapters/a{i}", TEXTS) for i in range(4)}
        address = ["--adapters", "s3://bucket/models", "--disk-cache", "cache"]
        port = listen(Proxy)
        for words, said in [(["--adapters", "s3://nothing/models"], "nothing"), (["--adapters", "s3:///x"], "s3:///x"), (["--adapters", "ftp://x/y"], "ftp://x/y")]:
            try:
                Server(program, place, *words, environment=settings(port)).end()
                raise SystemExit(f"{words}: it began")
            except RuntimeError as e:
                assert said in str(e) and SECRET not in str(e), e
        server = Server(program, place, *address, environment=settings(port))

        def right(name, adapter=None):
            for text, want in zip(TEXTS, wanted[adapter or name]):
                status, told, _ = predict(server.port, name, text)
                assert (status, told) == (200, want), (name, status, told, want)

        listed = ask(server.port, "GET", "/adapters")[1]
        assert [a["name"] for a in listed["adapters"]] == [f"a{i}" for i in range(4)] + [f"team/b{i}" for i in range(4)], listed
        page = ask(server.port, "GET", "/adapters?after=a2&limit=2")[1]
        assert [a["name"] for a in page["adapters"]] == ["a3", "team/b0"] and page["next"] == "team/b0", page
        # However many ask for a cold one: it is fetched once.
        Proxy.seen.clear()
        threads = [threading.Thread(target=lambda: predict(server.port, "a0", "so good")) for _ in range(20)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        fetched = [s for s in Proxy.seen if "a0/adapter.safetensors" in s]
        assert len(fetched) == 1, Proxy.seen
        right("a0")
        about = ask(server.port, "GET", "/adapters/a1")[1]
        assert about["labels"] == ["fresh", "rotten"] and about["in_memory"] is False, about
        for name in ["nobody", "empty", "team", "readme.txt"]:
            assert predict(server.port, name, "good")[0] == 404, name
        print("listed, paged, fetched once, unknown names")
        # The store fails for a while: it is asked again.
        for kind in [500, 503, "cut", "hang up"]:
            shutil.rmtree(place / "cache")
            (place / "cache").mkdir()
            assert ask(server.port, "DELETE", "/adapters/a1")[0] == 200
            left = [2]

            def some(path):
                if "a1/adapter.safetensors" in path and left[0]:
                    left[0] -= 1
                    return kind

            Proxy.fault = staticmethod(some)
            status, told, _ = ask(server.port, "PUT", "/adapters/a1")
            assert status == 200 and left[0] == 0, (kind, status, told, left)
            right("a1")
        print("500, 503, cut, hung up: asked again")
        # It fails for good, for one adapter: others go on.
        for kind, status in [(403, 503), (404, 503), (500, 503), ("wrong", 424)]:
            Proxy.fault = staticmethod(lambda path: kind if "a2/adapter.safetensors" in path else None)
            got = predict(server.port, "a2", "so good")
            assert got[0] == status and "a2" in got[1]["error"], (kind, got)
            assert SECRET not in json.dumps(got[1])
            right("a0")
            right("team/b3", "a3")
        Proxy.fault = staticmethod(lambda path: None)
        right("a2")
        print("403, 404, 500, wrong bytes: that adapter alone, by name")
        # Another content under the same name, by a change.
        upload("a3", "a0")
        right("a0")
        status, told, _ = ask(server.port, "PUT", "/adapters/a0", {"if_generation": 1})
        assert (status, told["generation"]) == (200, 2), told
        right("a0", "a3")
        # The store is gone: what is in memory goes on, the rest is said.
        Proxy.fault = staticmethod(lambda path: "hang up")
        right("a0", "a3")
        status, told, headers = predict(server.port, "team/b0", "so good", timeout=60)
        assert status == 503 and headers["retry-after"] and "team/b0" in told["error"], told
        assert ask(server.port, "GET", "/adapters")[0] == 503
        assert ask(server.port, "GET", "/health")[0] == ask(server.port, "GET", "/ready")[0] == 200
        Proxy.fault = staticmethod(lambda path: None)
        right("team/b0", "a0")
        print("the store is gone and comes back")
        assert server.end() == 0
        # What is on the disk is not fetched again by the next server; a full disk cache lets go.
        Proxy.seen.clear()
        server = Server(program, place, *address, environment=settings(port))
        right("team/b0", "a0")
        assert not [s for s in Proxy.seen if "safetensors" in s], Proxy.seen
        one = ask(server.port, "GET", "/adapters/team/b0")[1]
        server.end()
        size = sum(f.stat().st_size for f in (place / "adapters/a0").iterdir() if f.is_file())
        server = Server(program, place, *address, "--disk-cache-size", "1", "--cache", "1", environment=settings(port))
        for _ in range(2):
            for i in range(4):
                right(f"team/b{i}", f"a{i}")
        kept = sum(f.stat().st_size for f in (place / "cache").rglob("*") if f.is_file())
        assert kept <= max(1 << 20, size), (kept, size)
        server.end()
        only = Server(program, place, "--adapters", "s3://bucket/models/a1", "--disk-cache", "cache", environment=settings(port), name="only")
        status, told, _ = ask(only.port, "POST", "/predict", {"inputs": TEXTS[0]})
        assert {a["label"]: a["score"] for a in told} == wanted["a1"][0], told
        only.end()
        logs = "".join(f.read_text() for f in place.glob("*.log"))
        assert SECRET not in logs and "so good" not in logs, logs
        print("kept on the disk under its limit; one adapter alone; no secret and no text in the log")
    finally:
        for process in [server and server.process, store]:
            if process and process.poll() is None:
                process.terminate()
                process.wait(timeout=60)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w != "--million"]
    if len(words) != 1:
        sys.exit(__doc__)
    environment.enter("objects", ["moto[server,s3]", "boto3"])
    main(os.path.abspath(words[0]), "--million" in sys.argv)
