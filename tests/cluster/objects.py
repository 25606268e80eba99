#!/usr/bin/env python3
"""Adapters, checkpoints, models and data in an object store: a real S3 server (moto), and all that can go wrong on the way to it.

    python3 tests/cluster/objects.py BUDWOOD [--short]

BUDWOOD is a program with the feature `object-store`. Makes a virtual environment for moto in the folder for temporary files, or
where BUDWOOD_OBJECTS_VENV says. Talks to loopback only. Google Cloud Storage and Azure are servers of this script, which look at
addresses and headers: no real ones are to be had here. --short leaves out what waits for a slow store, and most of the kills.
"""
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "serve"), str(ROOT)]
import environment  # noqa: E402
from store_proxy import SECRET, Proxy, listen, settings  # noqa: E402
from world import make, s3  # noqa: E402

QUIET = staticmethod(lambda request: None)
said = []


class Machine:
    """A folder, a home and a cache of its own: what another machine has."""

    def __init__(self, program, place, port):
        self.program, self.place = program, place
        place.mkdir(exist_ok=True)
        self.environment = {**os.environ, **settings(port), "HOME": str(place / "home"), "BUDWOOD_CACHE": str(place / "cache")}

    def start(self, *words, **more):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([self.program, *words], cwd=self.place, env={**self.environment, **more}, **pipes)

    def end(self, process):
        out, err = process.communicate(timeout=300)
        said.append(out + err)
        return process.returncode, out, err

    def run(self, *words, code=0, **more):
        status, out, err = self.end(self.start(*words, **more))
        assert status == code, f"{' '.join(words)}: {status}\n{out}{err}"
        return out if code == 0 else err

    def fails(self, *words, says=(), within=60, **more):
        begin = time.time()
        err = self.run(*words, code=1, **more)
        assert time.time() - begin < within, (words, time.time() - begin)
        for text in says:
            assert text in err, f"{' '.join(words)}: {text!r} is not in: {err}"
        return err


def png(shade):
    """A picture of one grey."""
    part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([shade]) * 8 for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def sha(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def main(program, short):
    place = pathlib.Path(tempfile.mkdtemp(prefix="budwood-objects-"))
    store = None
    try:
        make(program, place, 1)
        store, Proxy.upstream, client = s3("bucket")
        port = listen(Proxy)
        here = Machine(program, place, port)

        def names(prefix):
            listed = client.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
            return sorted(o["Key"] for o in listed)

        def get(name):
            return client.get_object(Bucket="bucket", Key=name)["Body"].read()

        def put(name, content):
            client.put_object(Bucket="bucket", Key=name, Body=content)

        def send(folder, name):
            for file in pathlib.Path(folder).rglob("*"):
                if file.is_file() and not file.name.startswith("."):
                    put(f"{name}/{file.relative_to(folder)}", file.read_bytes())

        def fault(kind, part, times=10 ** 9):
            left = [times]

            def harm(request):
                if part in request and left[0] > 0:
                    left[0] -= 1
                    return kind

            Proxy.fault = staticmethod(harm)

        send(place / "adapters/a0", "in/a0")
        send(place / "base", "models/base")
        put("data/train.csv", (place / "train.csv").read_bytes())
        adapter = ["--adapter", "s3://bucket/in/a0", "--base", "s3://bucket/models/base"]
        local = ["--adapter", "adapters/a0", "--base", "base"]

        # Every command that takes an adapter.
        text = ["--json", "so good"]
        wanted = here.run("predict", *local, *text)
        assert here.run("predict", *adapter, *text) == wanted
        Proxy.seen.clear()
        assert here.run("predict", *adapter, *text) == wanted
        assert not [s for s in Proxy.seen if s.startswith("GET") and "safetensors" in s], Proxy.seen
        both = [json.loads(here.run("eval", "--json", *a, "--data", d)) for a, d in [(local, "train.csv"), (adapter, "s3://bucket/data/train.csv")]]
        assert both[0]["metrics"] == both[1]["metrics"] if "metrics" in both[0] else both[0]["scores"] == both[1]["scores"], both
        described = json.loads(here.run("inspect", "--json", "s3://bucket/in/a0"))
        assert described["weights_sha256"] == sha(place / "adapters/a0/adapter.safetensors")
        here.run("inspect", "s3://bucket/models/base")
        here.run("predict", *adapter, "--explain", "so good")
        here.run("data", "s3://bucket/data/train.csv")
        file = f"file://{place}/adapters/a0"
        assert here.run("predict", "--adapter", file, "--base", f"file://{place}/base", *text) == wanted
        for command in [["average", "s3://bucket/in/a0", "s3://bucket/in/a0", "--out"], ["export", "s3://bucket/in/a0", "--to", "adapterhub"]]:
            here.run(*command, "out-local")
            here.run(*command, f"s3://bucket/out/{command[0]}")
            for made in [f for f in (place / "out-local").rglob("*") if f.is_file() and not f.name.startswith(".")]:
                assert get(f"out/{command[0]}/{made.relative_to(place / 'out-local')}") == made.read_bytes(), made
            shutil.rmtree(place / "out-local")
        here.run("import", "s3://bucket/out/export", "--base", "s3://bucket/models/base", "--out", "s3://bucket/out/import")
        here.run("predict", "--adapter", "s3://bucket/out/import", "--base", "base", *text)
        here.run("models", "quantize", "s3://bucket/models/base", "--out", "s3://bucket/models/int8")
        here.run("predict", "--adapter", "s3://bucket/in/a0", "--base", "s3://bucket/models/int8", *text)
        print("predict, eval, explain, inspect, average, export, import, quantize: from the store and to it; fetched once")

        # Data, answers, records.
        lines = "".join(json.dumps({"text": t}) + "\n" for t in ["so good", "it was awful"])
        put("data/texts.jsonl", lines)
        (place / "texts.jsonl").write_text(lines)
        for end in ["jsonl", "csv"]:
            here.run("predict", *local, "--input", "texts.jsonl", "--output", f"answers.{end}")
            here.run("predict", *adapter, "--input", "s3://bucket/data/texts.jsonl", "--output", f"s3://bucket/out/answers.{end}")
            assert get(f"out/answers.{end}") == (place / f"answers.{end}").read_bytes() != b""
        here.fails("predict", *adapter, "so good", "--output", "s3://bucket/out/answers.csv", says=["s3://bucket/out/answers.csv", "--overwrite"])
        here.run("predict", *adapter, "so good", "--output", "s3://bucket/out/answers.csv", "--overwrite")
        put("tagged/train.conll", "Ann B-PER\nran O\n\nBob B-PER\nsat O\n")
        assert "2" in here.run("data", "conll=s3://bucket/tagged")
        for kind, shade in [("cat", 0), ("dog", 255)]:
            for i in range(3):
                put(f"pets/{kind}/{i}.png", png(shade))
        pets = here.run("data", "s3://bucket/pets")
        assert "cat" in pets and "dog" in pets and "cache" not in pets, pets
        put("pets/cat/broken.png", b"none")
        here.fails("data", "s3://bucket/pets", says=["s3://bucket/pets/cat/broken.png"])
        put("data/images.csv", "image,label\ncat/0.png,cat\ndog/0.png,dog\n")
        assert "dog" in here.run("data", "s3://bucket/data/images.csv", "--image-root", "s3://bucket/pets")
        put("data/bad.csv", "text,label\n\"a,b\n")
        here.fails("data", "s3://bucket/data/bad.csv", says=["s3://bucket/data/bad.csv"])
        dev = [["--dev-data", f"{p}dev.csv", "--test-data", f"{p}dev.csv", "--data", f"{p}train.csv"] for p in ["", "s3://bucket/data/"]]
        put("data/dev.csv", (place / "train.csv").read_bytes())
        shutil.copy(place / "train.csv", place / "dev.csv")
        made = [json.loads(here.run("train", "--json", "--out", f"dev{i}", "--base", "base", "--epochs", "1", "--recipe", "paper", *d)) for i, d in enumerate(dev)]
        assert made[0]["weights_sha256"] == made[1]["weights_sha256"] and made[0]["metrics"] == made[1]["metrics"], made
        train = ["--data", "s3://bucket/data/train.csv", "--base", "s3://bucket/models/base", "--epochs", "1", "--max-length", "24", "--recipe", "paper"]
        plain = json.loads(here.run("train", "--json", "--out", "plain", "--store", "runs.db", *train))
        record = json.loads((place / "plain/adapter.json").read_text())
        tag = client.head_object(Bucket="bucket", Key="data/train.csv")["ETag"].strip('"')
        assert record["training"]["objects"]["s3://bucket/data/train.csv"] == tag, record["training"]
        assert record["data"][0]["source"] == "s3://bucket/data/train.csv" and record["task"]["name"] == "train", record
        put("data/train.csv", (place / "train.csv").read_bytes() + b"very good,fresh\n")
        Proxy.seen.clear()
        assert "61" in here.run("data", "s3://bucket/data/train.csv")
        assert [s for s in Proxy.seen if s.startswith("GET /bucket/data/train.csv")]
        put("data/train.csv", (place / "train.csv").read_bytes())
        print("data, answers and records; what has changed is fetched again")

        # A run that goes to the store is the run that goes to a folder.
        out = ["--out", "s3://bucket/runs/one"]
        there = json.loads(here.run("train", "--json", *out, "--store", "runs2.db", *train))
        assert there["adapter"] == "s3://bucket/runs/one" and there["weights_sha256"] == plain["weights_sha256"]
        assert names("runs/one/") == [f"runs/one/{n}" for n in [".budwood.json", "adapter.json", "adapter.safetensors"]]
        assert hashlib.sha256(get("runs/one/adapter.safetensors")).hexdigest() == plain["weights_sha256"]
        assert not list((place / "cache/outgoing").rglob("*.safetensors"))
        assert "s3://bucket/runs/one" in here.run("runs", "--store", "runs2.db", "show", "1")
        here.fails("train", *out, *train, says=["s3://bucket/runs/one", "--overwrite"])
        other = json.loads(here.run("train", "--json", *out, "--overwrite", *train, "--seed", "7"))
        assert hashlib.sha256(get("runs/one/adapter.safetensors")).hexdigest() == other["weights_sha256"] != plain["weights_sha256"]
        assert json.loads(here.run("inspect", "--json", "s3://bucket/runs/one"))["weights_sha256"] == other["weights_sha256"]
        put("mine/notes.txt", b"precious")
        for more in [[], ["--overwrite"]]:
            here.fails("train", "--out", "s3://bucket/mine", *more, *train, says=["s3://bucket/mine", "notes.txt", "Nothing was changed"])
        assert names("mine/") == ["mine/notes.txt"]
        here.fails("train", "--out", "s3://bucket/models/base/x", *train, says=["lies inside"])
        here.fails("average", "adapters/a0", "adapters/a0", "--out", "s3://bucket", says=["s3://bucket", "whole bucket"])
        print("a run to the store: its weights, its record, --overwrite, what is of others")

        # Killed while it is sent, at each write: readers see nothing or the old one, and the same command ends it.
        for kill in [1, 3, 5] if short else range(1, 9):
            for before in [False, True]:
                name = f"runs/kill{kill}-{before}"
                if before:
                    send(place / "adapters/a0", name)
                words = ["train", "--json", "--out", f"s3://bucket/{name}", *train, *(["--overwrite"] if before else [])]
                process, writes = here.start(*words), [0]

                def killing(request):
                    if request.startswith(("PUT", "POST")) and name in request:
                        writes[0] += 1
                        if writes[0] == kill:
                            process.kill()
                            return "hang up"

                Proxy.fault = staticmethod(killing)
                here.end(process)
                Proxy.fault = QUIET
                status, out_, err = here.end(here.start("inspect", "--json", f"s3://bucket/{name}"))
                found = json.loads(out_)["weights_sha256"] if status == 0 else None
                old = described["weights_sha256"] if before else None
                assert found in (old, plain["weights_sha256"]), (kill, before, found, err)
                ended = here.start(*words)
                status, out_, err = here.end(ended)
                assert status == 0 or found == plain["weights_sha256"] and "is there already" in err, (kill, before, err)
                assert json.loads(here.run("inspect", "--json", f"s3://bucket/{name}"))["weights_sha256"] == plain["weights_sha256"]
                assert hashlib.sha256(get(f"{name}/adapter.safetensors")).hexdigest() == plain["weights_sha256"]
        print("killed while it is sent: nothing half, and the same command ends it")

        # Checkpoints: another machine goes on to the same bits.
        long = [*train, "--epochs", "6", "--save-every", "0.001"]
        whole = json.loads(here.run("train", "--json", "--out", "whole", *long))["weights_sha256"]
        for recipe in ["paper"] if short else ["paper", "auto"]:
            words = ["train", "--json", "--out", f"s3://bucket/runs/far-{recipe}", *[recipe if w == "paper" else w for w in long]]
            wanted = whole if recipe == "paper" else json.loads(here.run("train", "--json", "--out", "whole-auto", *words[4:]))["weights_sha256"]
            done = []
            # With few rows the other recipe has no vectors to keep, but what its trials gave.
            kills = [(".budwood.json", 4), ("vectors", 3), ("checkpoint.json", 3)] if recipe == "paper" else [(".budwood.json", 3), ("trials", 2)]
            for number, (what, at) in enumerate(kills):
                machine = Machine(program, place / f"machine-{recipe}{number}", port)
                process, writes = machine.start(*words), [0]

                def killing(request):
                    if request.startswith("PUT") and "/checkpoint/" in request and what in request:
                        writes[0] += 1
                        if writes[0] == at:
                            process.kill()
                            return "hang up"

                Proxy.fault = staticmethod(killing)
                status, _, err = machine.end(process)
                Proxy.fault = QUIET
                assert status < 0, (recipe, number, status, err)
                done.append("fetching s3://bucket/runs/far" in err)
            assert done == [i > 0 for i in range(len(kills))], done
            last = Machine(program, place / f"last-{recipe}", port)
            Proxy.seen.clear()
            status, out_, err = last.end(last.start(*words))
            assert status == 0 and f"fetching s3://bucket/runs/far-{recipe}/checkpoint" in err, err
            assert json.loads(out_)["weights_sha256"] == wanted
            assert len(names(f"runs/far-{recipe}/")) == 3, names(f"runs/far-{recipe}/")
        # Another run's checkpoint is refused by its address, whoever sent it; when it is removed, the way is free.
        words = ["train", "--json", "--out", "s3://bucket/runs/other", *long]
        process, writes = here.start(*words), [0]

        def stop(request):
            writes[0] += request.startswith("PUT") and "/checkpoint/.budwood.json" in request
            if writes[0] == 4:
                process.kill()
                return "hang up"

        Proxy.fault = staticmethod(stop)
        here.end(process)
        Proxy.fault = QUIET
        for machine in [here, Machine(program, place / "machine-other", port)]:
            machine.fails(*words, "--seed", "9", says=["s3://bucket/runs/other", "other settings"])
        for name in names("runs/other/"):
            client.delete_object(Bucket="bucket", Key=name)
        here.run(*words, "--seed", "9")
        print("checkpoints: killed three times, each time another machine goes on, to the same bits")
        machine.end(process)

        # Two at once.
        racers = [Machine(program, place / f"racer{i}", port) for i in range(2)]
        processes = [m.start("train", "--json", "--out", "s3://bucket/runs/race", *train) for m in racers]
        ends = [m.end(p) for m, p in zip(racers, processes)]
        assert 0 in [e[0] for e in ends], ends
        for status, _, err in ends:
            assert status == 0 or "s3://bucket/runs/race" in err, err
        assert json.loads(here.run("inspect", "--json", "s3://bucket/runs/race"))["weights_sha256"] == plain["weights_sha256"]
        print(f"two writers at once: {sum(e[0] == 0 for e in ends)} of 2 ended, one whole adapter")

        # What is wrong is said, with its place and the remedy, and leaves nothing.
        fresh = Machine(program, place / "fresh", port)
        ask = ["predict", *adapter, "so good"]
        for words, says in [
            (["predict", "--adapter", "s3://nothing/a", *ask[3:]], ["s3://nothing", "no such bucket"]),
            (["predict", "--adapter", "s3://bucket/no/where", *ask[3:]], ["s3://bucket/no/where", "adapter.json"]),
            (["predict", "--adapter", "s3://bucket/data/train.csv", *ask[3:]], ["s3://bucket/data/train.csv", "folder"]),
            ([*ask[:-1], "--input", "s3://bucket/none.csv"], ["s3://bucket/none.csv", "no such object"]),
            (["predict", "--adapter", f"s3://key:{SECRET}@bucket/a", *ask[3:]], ["environment"]),
            (["train", "--out", f"s3://key:{SECRET}@bucket/a", *train], ["environment"]),
            (["train", "--out", "s3://nothing/a", *train], ["s3://nothing", "bucket"]),
            (["predict", "--adapter", "s3://bucket/../x", *ask[3:]], ["s3://bucket/../x"]),
            (["predict", "--adapter", "hdfs://bucket/x", *ask[3:]], ["hdfs://bucket/x", "s3://"]),
            (["sweep", "sweep.toml", "--out", "s3://bucket/sweep"], []),
        ]:
            fresh.fails(*words, says=says)
        # What the library panics at.
        for name, value in [("AWS_ENDPOINT_URL", "minio:9000"), ("AWS_ENDPOINT_URL", ""), ("AWS_REGION", "eu central"),
                            ("AWS_SECRET_ACCESS_KEY", SECRET + "\n"), ("AWS_SESSION_TOKEN", "a\nb")]:
            error = fresh.fails(*ask, says=["s3://bucket/in/a0", name], **{name: value})
            assert "panicked" not in error, error
        assert "another kind of database" in fresh.run("board", "--board", "s3://bucket/board", "init", code=2)
        kinds = [(403, "credentials", 20), (500, "s3://bucket/in/a0", 40), ("cut", "s3://bucket/in/a0", 40), ("hang up", "s3://bucket/in/a0", 40),
                 ("short", "s3://bucket/in/a0", 40), ("wrong", "s3://bucket/in/a0", 20), ("skewed", "clock", 20), (404, "s3://bucket/in/a0", 20)]
        for kind, says, within in kinds + ([] if short else [("slow", "s3://bucket/in/a0", 200)]):
            shutil.rmtree(fresh.place / "cache", ignore_errors=True)
            fault(kind, "GET /bucket/in/a0/adapter.safetensors")
            error = fresh.fails(*ask, says=[says], within=within)
            assert "cache" not in error, error
            Proxy.fault = QUIET
            left = [f for f in (fresh.place / "cache").rglob(".part*")]
            assert not left, (kind, left)
            # What was damaged on its way is not kept.
            fresh.run(*ask)
        for kind in [500, 503, "cut", "hang up"]:
            shutil.rmtree(fresh.place / "cache")
            fault(kind, "GET /bucket/in/a0/adapter.safetensors", 2)
            fresh.run(*ask)
        for kind in [403, 500, "hang up"]:
            fault(kind, "PUT /bucket/runs/bad")
            fresh.fails("train", "--out", "s3://bucket/runs/bad", *train, says=["s3://bucket/runs/bad"], within=120)
            Proxy.fault = QUIET
            fresh.fails("predict", "--adapter", "s3://bucket/runs/bad", *ask[3:])
        fresh.run("train", "--out", "s3://bucket/runs/bad", *train)
        fault(500, "/checkpoint/")
        status, _, err = fresh.end(fresh.start("train", "--out", "s3://bucket/runs/deaf", *long))
        Proxy.fault = QUIET
        assert status != 0 and "s3://bucket/runs/deaf" in err, err
        print("wrong addresses, 403, 404, 500, cut, hung up, short, damaged, a wrong clock: each by its place")

        clouds(program, place)
        everything = "".join(said)
        assert SECRET not in everything
        for file in [f for f in place.rglob("*") if f.is_file() and f.stat().st_size < 10_000_000]:
            assert SECRET.encode() not in file.read_bytes(), file
        print("no secret in any message, record or file")
    finally:
        if store:
            store.terminate()
            store.wait(timeout=60)
        shutil.rmtree(place, ignore_errors=True)


class Cloud(http.server.BaseHTTPRequestHandler):
    """Objects by their paths, for any cloud: what was asked is kept."""

    protocol_version = "HTTP/1.1"
    objects, seen = {}, []

    def log_message(self, *_):
        pass

    def answer(self):
        path, _, query = self.path.partition("?")
        Cloud.seen.append((self.command, urllib.parse.unquote(path), query, dict(self.headers)))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urllib.parse.unquote(path)
        if self.command == "PUT":
            there = path in Cloud.objects
            if there and self.headers.get("if-none-match") == "*" or there and self.headers.get("x-goog-if-generation-match") == "0":
                return self.reply(412, b"")
            Cloud.objects[path] = body
            return self.reply(201 if "x-ms-version" in self.headers else 200, b"")
        if "list" in query:
            return self.reply(200, self.listed(path, query), kind="application/xml")
        if path not in Cloud.objects:
            return self.reply(404, b"")
        content = Cloud.objects[path]
        self.reply(200, content)

    def listed(self, path, query):
        prefix = urllib.parse.parse_qs(query).get("prefix", [""])[0]
        bucket = path.strip("/").split("/")[-1]
        found = [n for n in sorted(Cloud.objects) if n.startswith(f"/{bucket}/{prefix}")]
        one = lambda n: (f"<Contents><Key>{n[len(bucket) + 2:]}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"t\"</ETag>"
                         f"<Size>{len(Cloud.objects[n])}</Size></Contents>")
        blob = lambda n: (f"<Blob><Name>{n[len(bucket) + 2:]}</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>\"t\"</Etag>"
                          f"<Content-Length>{len(Cloud.objects[n])}</Content-Length><Content-Type>x</Content-Type></Properties></Blob>")
        if "comp=list" in query:
            return f'<?xml version="1.0"?><EnumerationResults><Blobs>{"".join(map(blob, found))}</Blobs><NextMarker/></EnumerationResults>'.encode()
        return f'<?xml version="1.0"?><ListBucketResult>{"".join(map(one, found))}<IsTruncated>false</IsTruncated></ListBucketResult>'.encode()

    def reply(self, status, content, kind="application/octet-stream"):
        self.send_response(status)
        for name, value in [("etag", '"t"'), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("content-length", str(len(content))),
                            ("content-type", kind), ("x-goog-generation", "1"), ("x-ms-version", "2023-11-03")]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer


def clouds(program, place):
    """The other two clouds: addresses, headers and answers as their interfaces say."""
    port = listen(Cloud)
    machine = Machine(program, place / "clouds", port)
    endpoint = f"http://127.0.0.1:{port}"
    account = {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_ACCOUNT_KEY": "YS1zZWNyZXQ=", "AZURE_STORAGE_ENDPOINT": endpoint, "AZURE_ALLOW_HTTP": "true"}
    google = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    for scheme, more in [("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(google)}), ("az", account)]:
        Cloud.objects.clear()
        Cloud.seen.clear()
        Cloud.objects["/bucket/data/train.csv"] = (place / "train.csv").read_bytes()
        for file in (place / "adapters/a0").iterdir():
            Cloud.objects[f"/bucket/in/a0/{file.name}"] = file.read_bytes()
        assert "60" in machine.run("data", f"{scheme}://bucket/data/train.csv", **more)
        machine.run("predict", "--adapter", f"{scheme}://bucket/in/a0", "--base", str(place / "base"), "so good", "--output", f"{scheme}://bucket/out/x.jsonl", **more)
        assert json.loads(Cloud.objects["/bucket/out/x.jsonl"])["text"] == "so good"
        asked = {(command, path) for command, path, _, _ in Cloud.seen}
        assert ("GET", "/bucket/data/train.csv") in asked and ("PUT", "/bucket/out/x.jsonl") in asked, asked
        headers = [{k.lower(): v for k, v in h.items()} for _, _, _, h in Cloud.seen]
        if scheme == "az":
            assert all(h["authorization"].startswith("SharedKey account:") and "x-ms-version" in h for h in headers), headers[0]
        machine.run("average", f"{scheme}://bucket/in/a0", f"{scheme}://bucket/in/a0", "--out", f"{scheme}://bucket/out/mean", **more)
        conditions = [h for (c, p, _, _), h in zip(Cloud.seen, headers) if c == "PUT"]
        conditional = [h for c, p, _, h in Cloud.seen if c == "PUT" and p.endswith(".budwood.json")]
        lower = [{k.lower(): v for k, v in h.items()} for h in conditional]
        assert lower and any("if-none-match" in h or "x-goog-if-generation-match" in h for h in lower), (conditions, lower)
        assert any("if-match" in h or h.get("x-goog-if-generation-match") == "1" for h in lower), lower
    print("Google Cloud Storage and Azure: paths, headers and conditions of requests")


if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w != "--short"]
    if len(words) != 1:
        sys.exit(__doc__)
    environment.enter("objects", ["moto[server,s3]", "boto3"])
    main(os.path.abspath(words[0]), "--short" in sys.argv)
