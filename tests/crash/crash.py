#!/usr/bin/env python3
"""Kills the program at every system call that writes, renames or deletes, and looks at what is left.

    tests/crash/crash.py PROGRAM [--points N] [--only NAME] [--jobs N]

Each scenario is a command in a folder. `strace` lists its calls once, then the command is run again
for each of them and killed when it enters that call. After each kill the same command must end
well, with the files of a run that was not killed, and everything that was there before must still
be there. `--points N` takes N calls of each scenario, evenly spread, instead of all. Needs Linux,
Python 3 and strace, and nothing else.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tiny  # noqa: E402

CALLS = ["openat", "write", "pwrite64", "writev", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir",
         "mkdirat", "rmdir", "ftruncate", "fsync", "fdatasync", "link", "linkat", "fchmod", "chmod", "copy_file_range"]
WORDS = "good fine great nice lovely bad poor awful sad ugly the a film was is very so and it".split()
SWEEP = """
name = "crash"
seeds = [0, 1, 2]
keep-adapters = KEEP
[train]
base = "base"
pooling = "mean"
max-length = 12
dropout = 0
epochs = 1
save-every = 0
[[task]]
name = "reviews"
data = "train.csv"
[[method]]
name = "small"
method = "adapter[width=2]"
"""
TRAIN = ("train --base base --data train.csv --method adapter[width=2] --max-length 12 --pooling mean --dropout 0 "
         "--threads 1 --epochs 2 --batch-size 16 --save-every 0 --out out")


class Wrong(Exception):
    """What a kill led to."""


class Scenario:
    def __init__(self, name, command, prepare=(), look=None, between=None, fails=None):
        self.name = name
        self.command = command
        # Commands and files that come before.
        self.prepare = prepare
        # What must be the same after any kill, beside the files.
        self.look = look or (lambda run: None)
        # What must hold right after a kill.
        self.between = between or (lambda run: None)
        # A call that this system is to lack.
        self.fails = fails


def runs(store="runs.db"):
    def look(run):
        found = json.loads(run(f"runs list --store {store} --json"))
        return sorted((r["seed"], r["weights_sha256"], str(r["adapter"])) for r in found)
    return look


def rows(run):
    found = json.loads(run("board --board b export --format json"))
    return sorted((r["model"], r["state"], str(r["metrics"] if "metrics" in r else r.get("value"))) for r in found)


def papers():
    def one(i):
        return {"paper_url": f"https://paperswithcode.com/paper/p-{i}", "arxiv_id": None, "title": f"Paper {i}",
                "abstract": f"Of {i} trees. " * 20, "url_abs": "", "url_pdf": "", "proceeding": None,
                "authors": ["Anonymous"], "tasks": [f"Task {i % 7}"], "date": "2019-05-01", "methods": []}
    return json.dumps([one(i) for i in range(60)])


SUBMITTED = [TRAIN + " --test-share 0.2 --name reviews --store runs.db", "board --board b init"]
SCENARIOS = [
    Scenario("train", TRAIN + " --store runs.db", look=runs()),
    Scenario("overwrite", TRAIN + " --seed 1 --overwrite",
             prepare=[TRAIN, {"out/notes.txt": "mine", "out/figures/a.svg": "mine"}],
             between=lambda run: run("inspect out")),
    Scenario("overwrite-without-exchange", TRAIN + " --seed 1 --overwrite", fails="renameat2",
             prepare=[TRAIN, {"out/notes.txt": "mine", "out/figures/a.svg": "mine"}]),
    Scenario("sweep", "sweep sweep.toml --threads 1", prepare=[{"sweep.toml": SWEEP.replace("KEEP", "true")}],
             look=runs("budwood-runs/runs.db")),
    Scenario("sweep-not-kept", "sweep sweep.toml --threads 1",
             prepare=[{"sweep.toml": SWEEP.replace("KEEP", "false")}], look=runs("budwood-runs/runs.db")),
    Scenario("import", "board --board b import papers-with-abstracts.json",
             prepare=[{"papers-with-abstracts.json": papers()}, "board --board b init"],
             look=lambda run: run("board --board b export --format archive --out archive")),
    Scenario("submit", "submit 1 --store runs.db --board b", prepare=SUBMITTED, look=rows),
    Scenario("verify", "verify --queue --board b --threads 1",
             prepare=SUBMITTED + ["submit 1 --store runs.db --board b"], look=rows),
    Scenario("report", "report --store runs.db", prepare=[TRAIN + " --store runs.db", "report --store runs.db"]),
]


def world(folder):
    """A tiny model and data that can be learned."""
    tiny.base(folder, WORDS)
    lines = ["text,label"]
    for i in range(60):
        good = i * 7 % 2 == 0
        lines.append(f"the film {WORDS[10 + i % 9]} {WORDS[i % 5 + (0 if good else 5)]},{'fresh' if good else 'rotten'}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")


def tree(folder):
    """Every file by its name; those of databases without their content, which has times in it."""
    found = {}
    for above, _, files in os.walk(folder):
        for name in files:
            path = Path(above) / name
            database = re.search(r"\.db(-wal|-shm|-journal)?$", name)
            found[str(path.relative_to(folder))] = None if database else path.read_bytes()
        if not files and not os.listdir(above):
            found[str(Path(above).relative_to(folder)) + "/"] = None
    return found


class Killer:
    def __init__(self, program, scenario, home):
        self.program, self.scenario, self.home = program, scenario, home
        self.before = home / "before"
        self.before.mkdir(parents=True)
        world(self.before)
        for step in scenario.prepare:
            if isinstance(step, str):
                self.run(self.before, step)
                continue
            for name, text in step.items():
                path = self.before / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.old = tree(self.before)
        whole = self.copy("whole")
        log = home / "calls"
        self.strace(whole, ["-o", str(log)])
        self.points = [call for call in self.calls(log) if call[0] != scenario.fails]
        self.whole = tree(whole)
        self.expected = scenario.look(lambda words: self.run(whole, words))
        self.exported = tree(whole)

    def copy(self, name):
        place = self.home / name
        shutil.copytree(self.before, place)
        return place

    def command(self, words):
        return [str(self.program), *words.split()]

    def run(self, place, words):
        environment = {**os.environ, "BUDWOOD_CACHE": str(self.home / "cache")}
        done = subprocess.run(self.command(words), cwd=place, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        if done.returncode != 0:
            raise Wrong(f"budwood {words}\n  ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def strace(self, place, more):
        environment = {**os.environ, "BUDWOOD_CACHE": str(self.home / "cache")}
        if self.scenario.fails:
            more = [*more, "-e", f"inject={self.scenario.fails}:error=ENOSYS"]
        words = ["strace", "-e", "trace=" + ",".join(CALLS), *more, *self.command(self.scenario.command)]
        return subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)

    @staticmethod
    def calls(log):
        """Name, number among those of its name, and text of each call that changes something."""
        counts, found = {}, []
        for line in log.read_text(errors="replace").splitlines():
            match = re.match(r"(\w+)\(", line)
            if not match:
                continue
            name = match.group(1)
            counts[name] = counts.get(name, 0) + 1
            if name != "openat" or "O_CREAT" in line:
                found.append((name, counts[name], line))
        return found

    def kill(self, number):
        name, when, line = self.points[number]
        place = self.copy(f"killed-{number}")
        try:
            killed = self.strace(place, ["-o", "/dev/null", "-e", f"inject={name}:signal=SIGKILL:when={when}"])
            if killed.returncode not in (-9, 137):
                # Times differ from run to run, and so may the number of calls.
                return f"not killed: {line}"
            self.scenario.between(lambda words: self.run(place, words))
            self.run(place, self.scenario.command)
            self.compare(tree(place), self.whole)
            if self.scenario.look(lambda words: self.run(place, words)) != self.expected:
                raise Wrong("what the program shows is not what it shows without a kill")
            self.compare(tree(place), self.exported)
            return None
        except Wrong as wrong:
            raise Wrong(f"{self.scenario.name}, killed at call {number}: {line}\n  {wrong}\n  see {place}") from None

    def compare(self, found, expected):
        missing = [n for n in self.old if n not in found and n in expected]
        if missing:
            raise Wrong(f"files that were there before are missing: {missing}")
        changed = [n for n, b in self.old.items() if expected.get(n) == b and found.get(n) != b]
        if changed:
            raise Wrong(f"files that were there before are changed: {changed}")
        left = sorted(set(found) - set(expected))
        if left:
            raise Wrong(f"files are left over: {left}")
        lacking = sorted(set(expected) - set(found))
        if lacking:
            raise Wrong(f"files are missing: {lacking}")
        other = [n for n, b in expected.items() if found[n] != b]
        if other:
            raise Wrong(f"files are others than without a kill: {other}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--points", type=int, help="calls of each scenario [default: all]")
    parser.add_argument("--only", help="one scenario")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if not shutil.which("strace"):
        sys.exit("crash test: strace is missing; Debian has a package of that name")
    program = args.program.resolve()
    failures = 0
    for scenario in SCENARIOS:
        if args.only not in (None, scenario.name):
            continue
        begin = time.monotonic()
        home = Path(tempfile.mkdtemp(prefix=f"crash-{scenario.name}-"))
        killer = Killer(program, scenario, home)
        total = len(killer.points)
        count = min(args.points or total, total)
        chosen = sorted({i * total // count for i in range(count)} | {total - 1})

        def one(number, killer=killer, home=home):
            try:
                note = killer.kill(number)
            except (Wrong, subprocess.TimeoutExpired) as wrong:
                return "wrong", str(wrong)
            shutil.rmtree(home / f"killed-{number}")
            return ("missed", note) if note else ("good", "")

        with ThreadPoolExecutor(args.jobs) as pool:
            results = list(pool.map(one, chosen))
        wrong = [text for what, text in results if what == "wrong"]
        missed = sum(what == "missed" for what, _ in results)
        took = time.monotonic() - begin
        print(f"{scenario.name}: killed at {len(chosen) - missed} of {total} calls, {len(wrong)} wrong, {took:.0f} s",
              flush=True)
        for text in wrong[:10]:
            print("  " + text.replace("\n", "\n  "), flush=True)
        failures += len(wrong)
        # Nothing was tried where most kills came to nothing.
        if missed * 4 > len(chosen):
            print(f"  {missed} kills came to nothing")
            failures += 1
        if not wrong:
            shutil.rmtree(home)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
