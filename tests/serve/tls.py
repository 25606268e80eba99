#!/usr/bin/env python3
"""TLS of `budwood serve` with the programs that people have: openssl and curl.

    python3 tests/serve/tls.py BUDWOOD

Makes certificates in a folder for temporary files and talks to loopback only. The server has the small model of
tests/golden; no network and no package is needed.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import tiny  # noqa: E402



def certificate(folder, name, days=30, key="ec"):
    kind = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}[key]
    subprocess.run(["openssl", "req", "-x509", *kind, "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
                    "-days", str(days), "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    return ["--tls-cert", str(folder / f"{name}.pem"), "--tls-key", str(folder / f"{name}.key")]


def expired(folder):
    """A certificate of 2020."""
    (folder / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n"
                                   "[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:localhost\n")
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("01\n")
    run = lambda *words: subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "old.key", "-out", "old.csr", "-subj", "/CN=old")
    run("ca", "-batch", "-selfsign", "-config", "ca.cnf", "-keyfile", "old.key", "-in", "old.csr", "-out", "old.pem", "-notext",
        "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
    return ["--tls-cert", str(folder / "old.pem"), "--tls-key", str(folder / "old.key")]


def begin(program, folder, words):
    log = open(folder / "log", "w")
    server = subprocess.Popen([program, "serve", "--json", "--base", "base", "--adapters", "adapters", "--port", "0", *words],
                              cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    told = ""
    while not told.rstrip().endswith("}"):
        line = server.stdout.readline()
        if not line:
            return server, (folder / "log").read_text()
        told += line
    return server, json.loads(told)["url"]


def refused(program, folder, words, *said):
    server, told = begin(program, folder, words)
    assert server.wait(timeout=20) != 0
    for word in said:
        assert word in told, (word, told)


def main(program):
    program = os.path.abspath(program)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="budwood-tls-"))
    server = None
    try:
        tiny.base(folder, ["good", "film"])
        (folder / "adapters").mkdir()
        one, other = certificate(folder, "one"), certificate(folder, "other", key="rsa")
        (folder / "empty.pem").write_text("nothing\n")
        path = lambda name: str(folder / name)
        refused(program, folder, ["--tls-cert", path("one.pem")], "--tls-key")
        refused(program, folder, ["--tls-cert", path("no.pem"), "--tls-key", path("one.key")], "no.pem", "No such file")
        refused(program, folder, ["--tls-cert", path("empty.pem"), "--tls-key", path("one.key")], "empty.pem", "no certificate")
        refused(program, folder, ["--tls-cert", path("one.pem"), "--tls-key", path("empty.pem")], "empty.pem", "no private key")
        refused(program, folder, ["--tls-cert", path("one.pem"), "--tls-key", path("other.key")], "other.key", "not the key")
        subprocess.run(["openssl", "pkey", "-in", path("one.key"), "-aes256", "-passout", "pass:x", "-out", path("locked.key")], check=True)
        refused(program, folder, ["--tls-cert", path("one.pem"), "--tls-key", path("locked.key")], "locked.key", "password")
        print("errors are by name")
        server, url = begin(program, folder, expired(folder))
        assert url.startswith("https://") and "has expired" in (folder / "log").read_text(), url
        server.terminate()
        assert server.wait(timeout=20) == 0
        print("an expired certificate is noted and used")
        for version in ["-tls1_2", "-tls1_3"]:
            server, url = begin(program, folder, one)
            assert url.startswith("https://"), url
            port = int(url.rstrip("/").rsplit(":", 1)[1])
            got = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-alpn", "h2,http/1.1", "-CAfile", path("one.pem"),
                                  "-verify_return_error", "-ign_eof", "-quiet"], input="GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                                 capture_output=True, text=True, timeout=20)
            assert '{"status":"ok"}' in got.stdout, (version, got)
            server.terminate()
            assert server.wait(timeout=20) == 0
        print("openssl s_client: TLS 1.2 and 1.3")
        server, url = begin(program, folder, one)
        port = int(url.rstrip("/").rsplit(":", 1)[1])
        curl = lambda *words: subprocess.run(["curl", "-sS", "-m", "20", *words], capture_output=True, text=True)
        ask = lambda ca: curl("--cacert", path(f"{ca}.pem"), f"https://localhost:{port}/ready", "--resolve", f"localhost:{port}:127.0.0.1")
        assert "ready" in ask("one").stdout, ask("one")
        assert ask("other").returncode == 60, "another's certificate"
        plain = curl(f"http://localhost:{port}/health")
        assert "speaks TLS" in plain.stdout, plain
        old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_1"], input="", capture_output=True, text=True)
        assert old.returncode != 0 or "Cipher is (NONE)" in old.stdout, old
        # Hands that are never shaken, and bytes that are no TLS, take nothing from others.
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        silent[0].sendall(b"\x16\x03\x01\xff\xff" + bytes(1000))
        silent[1].sendall(bytes(range(128, 256)) * 100)
        begun = time.time()
        assert "ready" in ask("one").stdout and time.time() - begun < 2
        # A new certificate, at once with SIGHUP; a broken one leaves the old.
        for suffix in ["pem", "key"]:
            shutil.copy(path(f"other.{suffix}"), path(f"one.{suffix}.new"))
            os.replace(path(f"one.{suffix}.new"), path(f"one.{suffix}"))
        server.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert "ready" in ask("other").stdout, ask("other")
        (folder / "one.pem").write_text("broken\n")
        server.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert "ready" in ask("other").stdout
        log = (folder / "log").read_text()
        assert "the new certificate is used" in log and "goes on as before" in log and "PRIVATE" not in log, log
        print("curl: verified, refused, read again")
        for stream in silent:
            stream.close()
        server.terminate()
        assert server.wait(timeout=20) == 0
        print("board: TLS")
        subprocess.run([program, "board", "--board", "b", "init"], cwd=folder, check=True, capture_output=True)
        server = subprocess.Popen([program, "--json", "board", "--board", "b", "serve", "--port", "0", *other], cwd=folder, stdout=subprocess.PIPE, text=True)
        told = ""
        while not told.rstrip().endswith("}"):
            told += server.stdout.readline()
        page = curl("--cacert", path("other.pem"), json.loads(told)["url"] + "about")
        assert "<html" in page.stdout, page
    finally:
        if server and server.poll() is None:
            server.terminate()
            server.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
