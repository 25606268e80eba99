#!/usr/bin/env python3
"""Two replicas behind a real balancer with a real S3 server: one is killed under load, one is told to end.

    python3 tests/deploy/replicas.py BUDWOOD

BUDWOOD is a program with the feature `object-store`. Needs `haproxy` (apt-get install haproxy), and makes a virtual environment for
moto in the folder for temporary files, or where BUDWOOD_OBJECTS_VENV says. The balancer has the configuration of deploy/. Talks to
loopback only, and takes half a minute. Each answer is compared with `budwood predict`.
"""
import collections
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/serve")]
import environment  # noqa: E402
from world import Server, free, make, offline, s3  # noqa: E402

TEXTS = ["so good", "it was awful", "the film is very fine", "a sad and ugly film"]
CLIENTS = 16


class Load:
    """Clients that ask through the balancer, one request after another."""

    def __init__(self, port, wanted):
        self.port, self.wanted, self.stop = port, wanted, threading.Event()
        self.counts, self.lock, self.slowest = collections.Counter(), threading.Lock(), 0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]
        [t.start() for t in self.threads]

    def run(self, seed):
        connection, i = None, seed
        while not self.stop.is_set():
            i += 1
            name, text = f"a{i % 3}", i % len(TEXTS)
            begin = time.time()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
                connection.request("POST", "/predict", json.dumps({"inputs": TEXTS[text], "adapter": name}), {"content-type": "application/json"})
                answer = connection.getresponse()
                told = answer.read()
                if answer.status == 200:
                    got = {a["label"]: a["score"] for a in json.loads(told)}
                    what = "right" if got == self.wanted[name][text] else "WRONG"
                else:
                    what = f"status {answer.status}"
            except (OSError, http.client.HTTPException) as e:
                what, connection = f"failed: {type(e).__name__}", None
            with self.lock:
                self.counts[what] += 1
                self.slowest = max(self.slowest, time.time() - begin)

    def taken(self):
        """What came since the last call."""
        with self.lock:
            counts, self.counts = self.counts, collections.Counter()
            slowest, self.slowest = self.slowest, 0
        return dict(counts), slowest

    def end(self):
        self.stop.set()
        [t.join() for t in self.threads]


def main(program):
    place = pathlib.Path(tempfile.mkdtemp(prefix="budwood-replicas-"))
    processes, load = [], None
    try:
        make(program, place, 3)
        wanted = {f"a{i}": offline(program, place, f"adapters/a{i}", TEXTS) for i in range(3)}
        store, s3_port, client = s3("adapters")
        processes.append(store)
        for folder in (place / "adapters").iterdir():
            for file in folder.iterdir():
                if file.is_file():
                    client.upload_file(str(file), "adapters", f"{folder.name}/{file.name}")
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}"}
        ports = [free(), free()]

        def replica(i):
            words = ["--adapters", "s3://adapters/", "--disk-cache", f"cache{i}", "--drain", "4", "--port", str(ports[i])]
            server = Server(program, place, *words, environment=keys, name=f"replica{i}")
            processes.append(server.process)
            return server

        replicas = [replica(0), replica(1)]
        balancer = free()
        settings = {"LISTEN": f"127.0.0.1:{balancer}", "REPLICA_1": f"127.0.0.1:{ports[0]}", "REPLICA_2": f"127.0.0.1:{ports[1]}"}
        haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
        processes.append(subprocess.Popen([haproxy, "-db", "-f", ROOT / "deploy/haproxy.cfg"], env={**os.environ, **settings},
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(2)
        load = Load(balancer, wanted)
        faults = []

        def phase(name, seconds, strict=True):
            time.sleep(seconds)
            counts, slowest = load.taken()
            print(f"{name}: {counts}, slowest {slowest:.2f} s", flush=True)
            if counts.get("WRONG") or not counts.get("right") or (strict and set(counts) != {"right"}):
                faults.append(name)

        phase("both", 3)
        replicas[0].process.send_signal(signal.SIGKILL)
        replicas[0].process.wait()
        phase("one killed", 4)
        replicas[0] = replica(0)
        phase("it is back", 4)
        begin = time.time()
        replicas[1].process.send_signal(signal.SIGTERM)
        time.sleep(1)
        ready = http.client.HTTPConnection("127.0.0.1", ports[1], timeout=5)
        ready.request("GET", "/ready")
        answer = ready.getresponse()
        answer.read()
        assert answer.status == 503 and answer.headers["connection"] == "close", (answer.status, answer.headers)
        phase("the other drains", 5)
        assert replicas[1].process.wait(timeout=20) == 0
        took = time.time() - begin
        assert took < 15, took
        try:
            socket.create_connection(("127.0.0.1", ports[1])).close()
            faults.append("the door of a replica that has ended is open")
        except ConnectionRefusedError:
            pass
        replicas[1] = replica(1)
        phase("both again", 3)
        load.end()
        load = None
        assert not faults, faults
        print("no wrong answer, no request lost")
    finally:
        if load:
            load.end()
        for process in reversed(processes):
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    environment.enter("objects", ["moto[server,s3]", "boto3"])
    main(os.path.abspath(sys.argv[1]))
