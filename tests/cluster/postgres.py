#!/usr/bin/env python3
"""A store on a real PostgreSQL server, with faults.

    tests/cluster/postgres.py PROGRAM [--runs N]

Four sweeps in folders of their own, as on four machines that share no disk, record their runs on
one server. Meanwhile their connections are cut, two of the sweeps and twice the server are killed,
and the server is shut down. Afterwards every run is recorded once, with the weights that one sweep
on a file gives. Then eight trainings at once record their runs, one of which two processes train;
and the store is copied to a file and back, which is killed on the way.

Needs Debian's package `postgresql`, which is installed if it is missing (by root). Everything else
is in a temporary folder, and the server listens on this machine alone.
"""
import argparse, hashlib, json, os, pathlib, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, time

from postgres_server import Server

HERE = pathlib.Path(__file__).resolve().parent
arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("program")
arguments.add_argument("--runs", type=int, default=48)
given = arguments.parse_args()
PROGRAM = os.path.realpath(given.program)


def sweep(out, *more):
    log = open(f"{out}.log", "ab")
    command = [PROGRAM, "sweep", "sweep.toml", "--out", out, *more]
    return subprocess.Popen(command, stdout=log, stderr=log)


def weights(*folders):
    found = {}
    for folder in folders:
        for file in pathlib.Path(folder, "adapters").glob("*/adapter.safetensors"):
            found.setdefault(file.parent.name, set()).add(hashlib.sha256(file.read_bytes()).hexdigest())
    return found


def main(work, server):
    os.chdir(work)
    # The password is found where PostgreSQL's own programs find it.
    secret = work / "pgpass"
    secret.write_text("127.0.0.1:*:runs:budwood:secret\n")
    secret.chmod(0o600)
    os.environ["PGPASSFILE"] = str(secret)
    store = f"postgres://budwood@127.0.0.1:{server.port}/runs"
    subprocess.run([sys.executable, HERE / "world.py"], check=True)
    seeds = list(range(given.runs))
    pathlib.Path("sweep.toml").write_text(
        f'name = "seeds"\nseeds = {seeds}\n[train]\nbase = "base"\nrecipe = "paper"\nepochs = 20\nsave-every = 1\n'
        '[[task]]\ndata = "rows.csv"\ndev-share = 0.1\n[[method]]\nname = "adapter"\nmethod = "adapter[width=8]"\n'
    )
    outs = ["one", "two", "three", "four"]
    of_each = ["--threads", "1", "--store", store]
    running = {out: sweep(out, *of_each) for out in outs}

    def recorded():
        said = server.ask("SELECT count(*) FROM budwood_runs.runs")
        return int(said.stdout) if said.returncode == 0 else 0

    def past(n):
        end = time.time() + 600
        while recorded() < n:
            for out in outs:
                if running[out].poll() is not None and recorded() < given.runs:
                    # It ended, as the server was away for too long or others had the last runs.
                    running[out] = sweep(out, *of_each)
            assert time.time() < end, f"{recorded()} of {n} runs"
            time.sleep(0.2)

    past(given.runs // 8)
    print("connections are cut:", server.cut(), flush=True)
    past(given.runs // 4)
    print("a sweep is killed")
    running["one"].kill(); running["one"].wait()
    past(given.runs * 3 // 8)
    print("the server is killed and returns")
    server.end(signal.SIGKILL); time.sleep(2); server.begin()
    past(given.runs // 2)
    print("the server is shut down and returns")
    server.end(signal.SIGQUIT); time.sleep(5); server.begin()
    past(given.runs * 5 // 8)
    print("a sweep is killed, and connections are cut:", server.cut())
    running["three"].kill(); running["three"].wait()
    past(given.runs * 3 // 4)
    print("the server is killed and returns after 40 seconds")
    server.end(signal.SIGKILL); time.sleep(40); server.begin()
    past(given.runs)
    for out in outs:
        running[out].wait()
        # What was trained and could not be recorded is found, not trained again.
        assert sweep(out, *of_each).wait() == 0, pathlib.Path(f"{out}.log").read_text()[-2000:]
    keys = server.sql("SELECT count(*), count(DISTINCT key), min(id), max(id) FROM budwood_runs.runs")
    assert keys == f"{given.runs}|{given.runs}|1|{given.runs}", keys
    assert sweep("alone").wait() == 0
    alone, here = weights("alone"), weights(*outs)
    assert alone == here, (len(alone), len(here))
    twice = sum(len(list(pathlib.Path(out, "adapters").glob("*/adapter.safetensors"))) for out in outs) - given.runs
    print(f"{given.runs} runs recorded once each, weights equal to those of one sweep on a file; {twice} trained twice, after a claim was cut")
    for out in outs:
        assert "secret" not in pathlib.Path(f"{out}.log").read_text()

    # Eight writers, two of whom train the same.
    each = [seed % 7 for seed in range(8)]
    command = [PROGRAM, "train", "--base", "base", "--data", "rows.csv", "--recipe", "paper", "--epochs", "2", "--test-share", "0.5", "--threads", "1", "--store", store]
    all = [subprocess.Popen([*command, "--seed", str(seed), "--out", f"writer-{i}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i, seed in enumerate(each)]
    assert [one.wait() for one in all] == [0] * 8
    counts = server.sql("SELECT count(*) FROM budwood_runs.runs")
    answers = server.sql(f"SELECT count(*), min(n), max(n) FROM (SELECT count(*) n FROM budwood_runs.predictions WHERE run > {given.runs} AND split = 'test' GROUP BY run) t")
    count, least, most = answers.split("|")
    assert counts == str(given.runs + 7) and count == "7" and least == most, (counts, answers)
    print(f"eight writers at once: seven runs, each with its {least} answers")

    # There and back, killed on the way.
    server.sql("CREATE DATABASE again", "postgres")
    again = store.replace("/runs", "/again")
    secret.write_text("127.0.0.1:*:*:budwood:secret\n")
    def there(place):
        if place == again:
            said = server.ask("SELECT count(*) FROM budwood_runs.runs", "again")
            return int(said.stdout) if said.returncode == 0 else 0
        try:
            return sqlite3.connect(place).execute("SELECT count(*) FROM runs").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    for pair in [(store, "copy.db"), ("copy.db", again)]:
        for part in [1, 5, 15]:
            copy = subprocess.Popen([PROGRAM, "store", "copy", *pair], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while there(pair[1]) < part and copy.poll() is None:
                time.sleep(0.005)
            copy.kill(); copy.wait()
        print(there(pair[1]), "runs copied when it was killed for the last time")
        subprocess.run([PROGRAM, "store", "copy", *pair], check=True)
    tables = {"runs": "id", "metrics": "run, split, name", "predictions": 'run, split, "row"'}
    for table, order in tables.items():
        sql = f"SELECT md5(string_agg(t::text, E'\\n' ORDER BY {order})) FROM budwood_runs.{table} t"
        assert server.sql(sql) == server.sql(sql, "again"), table
    print("copied to a file and back: every row the same")


# Stopped, it ends what it began.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
work = pathlib.Path(tempfile.mkdtemp())
work.chmod(0o755)
server = Server(work / "server")
try:
    main(work, server)
finally:
    if server.process.poll() is None:
        server.end(signal.SIGQUIT)
    shutil.rmtree(work, ignore_errors=True)
