#!/usr/bin/env python3
"""A board on a real PostgreSQL server: two servers of pages, eight writers, and faults.

    tests/cluster/board.py PROGRAM [--writes N]

Eight writers submit results through two servers of one board, while their connections to the
database are cut and the database is killed and begun again. Afterwards every result that was
acknowledged is there, once, and counts and log agree. With the database away, pages are answered
with 503 within seconds and without a word of where it is; when it is back, so are they. Adapters
come back through the other server, a form of one server is taken by the other, and an archive goes
out of the database as it goes out of a file.

Needs Debian's package `postgresql`, which is installed if it is missing (by root). Everything else
is in a temporary folder, and all servers listen on this machine alone.
"""
import argparse, hashlib, http.client, json, os, pathlib, shutil, signal, struct, subprocess, sys, tempfile, threading, time

from postgres_server import Server

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("program")
arguments.add_argument("--writes", type=int, default=40, help="results of each of the eight writers")
given = arguments.parse_args()
PROGRAM = os.path.realpath(given.program)
WRITERS = 8


def run(*words, **more):
    return subprocess.run([PROGRAM, *map(str, words)], check=True, capture_output=True, text=True, **more).stdout


class Pages:
    """`budwood board serve` on the board."""

    def __init__(self, place, log):
        command = [PROGRAM, "--json", "board", "--board", place, "serve", "--port", "0", "--writes", "1000000", "--searches", "1000000"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(log, "ab"), text=True)
        said = ""
        while not said.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, f"no pages: {said} {open(log).read()}"
            said += line
        self.port = int(json.loads(said)["url"].rstrip("/").rsplit(":", 1)[1])

    def ask(self, method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict((k.lower(), v) for k, v in answer.getheaders())
        finally:
            connection.close()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def record(name):
    return {"task": "Image Classification", "dataset": {"name": "Pebbles"}, "model": {"name": name}, "metrics": [{"name": "Accuracy", "value": "90.1"}]}


def writer(number, servers, token, counts):
    """Each result is sent until it is acknowledged, now to one server and now to the other."""
    headers = {"authorization": f"Token {token}", "content-type": "application/json"}
    for i in range(given.writes):
        for again in range(400):
            status, body, given_back = servers[(number + i + again) % 2].ask("POST", "/api/v1/submit/", json.dumps(record(f"w{number}-{i}")), headers)
            counts[status] = counts.get(status, 0) + 1
            if status in (200, 201):
                break
            assert status == 503, (status, body)
            assert "retry-after" in given_back, given_back
            time.sleep(0.1)
        else:
            sys.exit(f"w{number}-{i} was never taken")


def faults(server, over):
    for n in range(1000):
        if over.wait(0.4):
            return
        server.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'board' AND pid <> pg_backend_pid()")
        if n in (3, 9):
            server.end(signal.SIGKILL)
            time.sleep(0.5)
            server.begin()


def adapter():
    header = json.dumps({"a": {"dtype": "F32", "shape": [300000], "data_offsets": [0, 1200000]}}).encode()
    weights = struct.pack("<Q", len(header)) + header + struct.pack("<300000f", *(i / 7 for i in range(300000)))
    meta = {"budwood_adapter": 1, "weights_sha256": hashlib.sha256(weights).hexdigest(), "method": "adapter[width=8]", "base": {"name": "m"}}
    return weights, json.dumps(meta).encode()


def parts(fields):
    out = b""
    for name, file, content in fields:
        named = f'; filename="{file}"' if file else ""
        out += f'--mark\r\ncontent-disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    return out + b"--mark--\r\n", {"content-type": "multipart/form-data; boundary=mark"}


def main(work, server):
    address = f"postgres://budwood:secret@127.0.0.1:{server.port}/board"
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    os.chdir(work)
    run("board", "--board", address, "init")
    token = run("board", "--board", address, "token", "add", "sam", "--role", "moderate").split()[0]
    servers = [Pages(address, work / f"pages{i}.log") for i in range(2)]

    counts, over = {}, threading.Event()
    cutter = threading.Thread(target=faults, args=(server, over))
    cutter.start()
    writers = [threading.Thread(target=writer, args=(i, servers, token, counts)) for i in range(WRITERS)]
    [w.start() for w in writers]
    [w.join() for w in writers]
    over.set()
    cutter.join()
    want = WRITERS * given.writes
    one = lambda sql: server.sql("SET search_path = budwood_board; " + sql)
    assert one("SELECT count(*) || ' ' || count(DISTINCT model) FROM results WHERE model LIKE 'w%-%'") == f"{want} {want}"
    assert one("SELECT count(*) FROM log WHERE action = 'submit' AND subject_name LIKE 'w%-%'") == str(want)
    assert one("SELECT results FROM leaderboards WHERE slug = 'image-classification-on-pebbles'") == str(want)
    assert one("SELECT max(id) - count(*) FROM results") == "0", "a number was left out"
    print(f"{want} results of {WRITERS} writers through 2 servers: each once; answers {dict(sorted(counts.items()))}")

    weights, meta = adapter()
    body, kind = parts([("record", "", json.dumps(record("with adapter")).encode()), ("description", "adapter.json", meta), ("weights", "adapter.safetensors", weights)])
    status, said, _ = servers[0].ask("POST", "/api/v1/submit/", body, {**kind, "authorization": f"Token {token}"})
    assert status == 201, said
    shutil.rmtree(work / "cache")
    status, back, _ = servers[1].ask("GET", f"/result/{json.loads(said)['result']}/adapter")
    assert status == 200 and back == weights, status
    print("an adapter came back through the other server")

    server.end(signal.SIGQUIT)
    for pages in servers:
        start = time.time()
        status, page, headers = pages.ask("GET", "/")
        assert status == 503 and "retry-after" in headers, (status, page)
        assert time.time() - start < 40
        for word in (b"secret", b"postgres", b"budwood_board", str(server.port).encode()):
            assert word not in page, word
    server.begin()
    assert all(pages.ask("GET", "/")[0] == 200 for pages in servers)
    print("without its database a server answers 503, and pages when it is back")
    [pages.end() for pages in servers]
    for log in work.glob("pages*.log"):
        text = log.read_text()
        assert "secret" not in text and "panicked" not in text, text[-2000:]

    rows = [{"model_name": f"M{i}", "paper_title": f"Of many things {i}", "paper_url": f"https://arxiv.org/abs/1901.{i:05}", "paper_date": "2019-01-01", "metrics": {"Accuracy": f"{i % 97}.5"}} for i in range(300)]
    table = [{"task": "Sorting", "description": "d", "categories": ["Things"], "datasets": [{"dataset": "Heaps", "sota": {"metrics": ["Accuracy"], "rows": rows}}], "subtasks": []}]
    (work / "evaluation-tables.json").write_text(json.dumps(table))
    server.sql("CREATE DATABASE other", "postgres")
    places = [str(work / "file"), address.removesuffix("board") + "other"]
    for i, place in enumerate(places):
        run("board", "--board", place, "init")
        run("board", "--board", place, "import", work / "evaluation-tables.json")
        run("board", "--board", place, "export", "--format", "archive", "--out", work / f"out{i}")
        run("board", "--board", place, "export", "--format", "csv", "--out", work / f"out{i}.csv")
    for name in ("evaluation-tables.json", "board.json"):
        assert (work / "out0" / name).read_bytes() == (work / "out1" / name).read_bytes(), name
    assert (work / "out0.csv").read_bytes() == (work / "out1.csv").read_bytes()
    print("exports of file and server are the same")


if __name__ == "__main__":
    work = pathlib.Path(tempfile.mkdtemp())
    work.chmod(0o755)
    server = Server(work / "server", "board")
    try:
        main(work, server)
    finally:
        server.end(signal.SIGQUIT)
        shutil.rmtree(work, ignore_errors=True)
