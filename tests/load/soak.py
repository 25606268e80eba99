#!/usr/bin/env python3
"""A server for a long time under everything at once: each answer is that of `budwood predict`, and memory stays flat.

    python3 tests/load/soak.py BUDWOOD [--minutes N]

One minute unless another number is given; an hour is for a change of the server. Needs Linux and Python 3.11, talks to loopback only.

     8 clients   ask adapters by turns, one text or several, alone or many adapters in a request
     2 clients   put adapters in the place of others under one name, load them again, take them away
     1 client    asks a corrupt adapter and names that are none
     4 clients   hang up in the middle of a body, or of an answer
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "serve")]
from world import Server, ask, make, offline  # noqa: E402

ADAPTERS = 6
TEXTS = ["so good", "it was awful", "the film is very fine", "a sad and ugly film", "", "good " * 60, "the the the"]


class Soak:
    def __init__(self, port, wanted, seconds):
        self.port, self.wanted, self.end = port, wanted, time.time() + seconds
        self.counts, self.wrong, self.lock = collections.Counter(), [], threading.Lock()
        # What a swapped name may answer: that of either side of a change.
        self.swap = [f"swap{i}" for i in range(2)]

    def note(self, what, wrong=None):
        with self.lock:
            self.counts[what] += 1
            if wrong:
                self.wrong.append((what, wrong))

    @staticmethod
    def shaped(answer):
        return {a["label"]: a["score"] for a in answer}

    def asks(self, draw):
        names = [f"a{i}" for i in range(ADAPTERS)]
        kind = draw.randrange(5)
        some = [draw.randrange(len(TEXTS)) for _ in range(draw.randint(1, 8))]
        if kind == 0:
            name = draw.choice(names)
            status, told, _ = ask(self.port, "POST", "/predict", {"inputs": [TEXTS[i] for i in some], "adapter": name})
            good = status == 200 and [self.shaped(t) for t in told] == [self.wanted[name][i] for i in some]
        elif kind == 1:
            few = draw.sample(names, 3)
            status, told, _ = ask(self.port, "POST", "/predict", {"inputs": TEXTS[some[0]], "adapter": few})
            good = status == 200 and all(self.shaped(told[n]) == self.wanted[n][some[0]] for n in few)
        elif kind == 2:
            pairs = [(draw.choice(names), i) for i in some]
            status, told, _ = ask(self.port, "POST", "/predict", {"inputs": [{"text": TEXTS[i], "adapter": n} for n, i in pairs]})
            good = status == 200 and all(self.shaped(t) == self.wanted[n][i] for t, (n, i) in zip(told, pairs))
        elif kind == 3:
            name = draw.choice(self.swap)
            status, told, _ = ask(self.port, "POST", "/predict", {"inputs": TEXTS[some[0]], "adapter": name})
            good = status == 404 or (status == 200 and self.shaped(told) in [self.wanted[n][some[0]] for n in names])
        else:
            status, told, _ = ask(self.port, "POST", "/embed", {"inputs": TEXTS[some[0]]})
            good = status == 200 and told[0] == self.wanted["base"].setdefault(some[0], told[0])
        self.note(f"asked, {status}", None if good else (kind, status, str(told)[:200]))

    def changes(self, draw):
        name, other = draw.choice(self.swap), f"a{draw.randrange(ADAPTERS)}"
        kind = draw.randrange(4)
        if kind == 0:
            status = ask(self.port, "DELETE", f"/adapters/{name}")[0]
            self.note(f"unloaded, {status}", None if status in (200, 404) else status)
        elif kind == 1:
            status, told, _ = ask(self.port, "PUT", f"/adapters/{name}", {"folder": "broken"})
            self.note(f"replaced by a corrupt one, {status}", None if status == 424 else (status, told))
        else:
            # Without others in between the answers after a change are those of the new one.
            mine = f"own{threading.get_ident()}"
            status, told, _ = ask(self.port, "PUT", f"/adapters/{mine}", {"folder": other})
            good = status == 200
            status, told, _ = ask(self.port, "POST", "/predict", {"inputs": TEXTS[0], "adapter": mine})
            good &= status == 200 and self.shaped(told) == self.wanted[other][0]
            ask(self.port, "PUT", f"/adapters/{name}", {"folder": other})
            self.note(f"replaced, {status}", None if good else (status, told))
        time.sleep(0.02)

    def errs(self, draw):
        for name, wanted in [("broken", 424), ("nobody", 404), ("../base", 404)]:
            status = ask(self.port, "POST", "/predict", {"inputs": "good", "adapter": name})[0]
            self.note(f"{name}, {status}", None if status == wanted else status)
        time.sleep(0.05)

    def hangs_up(self, draw):
        body = json.dumps({"inputs": [draw.choice(TEXTS)] * 200, "adapter": f"a{draw.randrange(ADAPTERS)}"}).encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as stream:
            head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            stream.sendall(head + body[:draw.choice([0, 10, len(body) // 2, len(body)])])
            time.sleep(draw.random() * 0.05)
        self.note("hung up")

    def run(self, work, seed):
        draw = random.Random(seed)
        while time.time() < self.end:
            try:
                work(draw)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as e:
                self.note("failed", repr(e))

    def all(self):
        kinds = [self.asks] * 8 + [self.changes] * 2 + [self.errs] + [self.hangs_up] * 4
        return [threading.Thread(target=self.run, args=(work, i)) for i, work in enumerate(kinds)]


def main(program, minutes):
    place = pathlib.Path(tempfile.mkdtemp(prefix="budwood-soak-"))
    server = None
    try:
        make(program, place, ADAPTERS)
        wanted = {f"a{i}": offline(program, place, f"adapters/a{i}", TEXTS) for i in range(ADAPTERS)}
        wanted["base"] = {}
        shutil.copytree(place / "adapters/a0", place / "adapters/broken")
        weights = place / "adapters/broken/adapter.safetensors"
        bytes_ = bytearray(weights.read_bytes())
        bytes_[-1] ^= 1
        weights.write_bytes(bytes_)
        # Room for two adapters: all the others come and go.
        server = Server(program, place, "--adapters", "adapters", "--cache", "1")
        soak = Soak(server.port, wanted, minutes * 60)
        threads = soak.all()
        [t.start() for t in threads]
        time.sleep(min(20, minutes * 20))
        early, samples = server.memory(), []
        while time.time() < soak.end:
            time.sleep(1)
            samples.append(server.memory())
        [t.join() for t in threads]
        for what, count in sorted(soak.counts.items()):
            print(f"{count:8}  {what}")
        late = sorted(samples[-max(1, len(samples) // 4):])
        print(f"memory: {early:.0f} MB at the beginning, {late[len(late) // 2]:.0f} MB in the last quarter, {max(samples):.0f} MB at most")
        log = server.log.read_text()
        assert "good" not in log and "awful" not in log, "a text is in the log"
        assert server.end() == 0
        assert not soak.wrong, (len(soak.wrong), soak.wrong[:5])
        assert late[len(late) // 2] < early + 25, "the memory grows"
        print("no wrong answer, and the memory is flat")
    finally:
        if server:
            server.end()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("--minutes", type=float, default=1)
    given = arguments.parse_args()
    main(os.path.abspath(given.program), given.minutes)
