#!/usr/bin/env python3
"""The engines that people have: Ray and Spark, as `examples/` show them.

    tests/python/engines.py ray WHEEL [--rows 20000]
    tests/python/engines.py spark WHEEL           needs Java (Debian: default-jre-headless)
    tests/python/engines.py sweep WHEEL           a sweep over Ray

On a tiny base, a worker is killed while it works. No row may be lost or done twice, each must be
answered as by one process, to the bit, and each worker may open the adapter once. Of a sweep each
run must be recorded once, with the weights of one machine.

    tests/python/engines.py ray|spark WHEEL --speed BASE TEXTS [--rows 100000]

nobody is killed: how fast one worker of one thread is beside the program on one thread, with lines
of TEXTS on BASE, which a package or a folder holds; and two workers beside two threads.
"""

import hashlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
sys.path[:0] = [str(HERE.parent), str(EXAMPLES)]

import environment

ENGINES = {"ray": ["ray[data]==2.60.0"], "spark": ["pyspark==4.3.0"], "sweep": ["ray[data]==2.60.0"]}
if sys.argv[1:2] == [] or sys.argv[1] not in ENGINES:
    sys.exit(__doc__)
environment.enter(f"engine_{sys.argv[1].replace('sweep', 'ray')}", [*ENGINES[sys.argv[1]], "numpy==2.4.6", "pandas", "pyarrow"])

#: Runs in each process of Python before all else: says which process opened an adapter.
COUNTER = """
import os
import budwood
from budwood import _adapter

def counted(*words, load=_adapter.load, **more):
    with open(os.environ["BUDWOOD_TEST_LOADS"], "a") as file:
        print(os.getpid(), file=file)
    return load(*words, **more)

budwood.load = counted
"""


def main():
    engine, wheel = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    speed = sys.argv[sys.argv.index("--speed") + 1 :][:2] if "--speed" in sys.argv else None
    rows = 100_000 if speed else 20_000
    rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else rows
    if wheel.suffix == ".whl":
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", "--no-index"]
        subprocess.run([*pip, wheel], check=True)
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "sitecustomize.py").write_text(COUNTER)
        os.environ["BUDWOOD_TEST_LOADS"] = str(place / "loads")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(place), str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
        os.environ["PYSPARK_PYTHON"] = sys.executable
        if engine == "sweep":
            check_sweep(place)
        elif speed:
            measure(engine, place, rows, *speed)
        else:
            check(engine, place, rows)


def check(engine, place, rows):
    import budwood
    import numpy as np

    import tiny

    words = "good fine great bad poor awful the a film was is very so and it".split()
    tiny.base(place, words)
    texts = [" ".join(words[(row * k + k) % 15] for k in (1, 2, 4, 7, 11)) for row in range(rows)]
    labels = ["good" if t.split()[0] in words[:3] else "bad" for t in texts]
    settings = {"recipe": "paper", "epochs": 2, "lr": 0.003, "pooling": "mean", "max_length": 16}
    model = budwood.Classifier(base=str(place / "base"), **settings).fit(texts[:300], labels[:300])
    model.adapter_.save(place / "adapter")
    began = time.monotonic()
    expected = model.adapter_.predict_proba(texts)
    alone = time.monotonic() - began
    write(place, texts)
    killed = []
    killer = threading.Thread(target=kill_one, args=(place / "loads", killed), daemon=True)
    killer.start()
    began = time.monotonic()
    given = {"ray": with_ray, "spark": with_spark}[engine](place)
    took = time.monotonic() - began
    killer.join(5)
    given = given.sort_values("row")
    assert given["row"].tolist() == list(range(rows)), "a row is lost, or there twice"
    best = expected.argmax(axis=1)
    assert given["label"].tolist() == [model.adapter_.labels[b] for b in best]
    assert (given["probability"].to_numpy(np.float32) == expected.max(axis=1)).all(), "to the bit"
    loads = (place / "loads").read_text().split()
    assert len(killed) == 1, "no worker was killed"
    assert len(set(loads)) == len(loads), f"a worker opened the adapter twice: {loads}"
    print(f"{engine}: {rows} rows, {len(loads)} workers, one of them killed; {took:.1f} s, alone {alone:.1f} s")


def write(place, texts):
    """Texts with the numbers of their rows, in eight files."""
    import numpy as np
    import pandas

    (place / "input").mkdir()
    for i, piece in enumerate(np.array_split(np.arange(len(texts)), 8)):
        frame = pandas.DataFrame({"row": piece, "text": [texts[row] for row in piece]})
        # Spark's own Snappy takes a machine that has musl beside glibc for one of musl alone.
        frame.to_parquet(place / "input" / f"{i}.parquet", compression="gzip")


def measure(engine, place, rows, base, file):
    lines = [line for line in pathlib.Path(file).read_text().splitlines() if line.strip()]
    texts = [lines[row % len(lines)] for row in range(rows)]
    (place / "train.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": "ab"[i % 2]}) + "\n" for i, text in enumerate(texts[:64]))
    )
    (place / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    program("train", "--base", base, "--data", place / "train.jsonl", "--recipe", "paper", "--epochs", "1",
            "--base-precision", "int8", "--method", "adapter[width=64]", "--out", place / "adapter")
    write(place, texts)
    for threads in [1, 2]:
        begin = time.monotonic()
        program("predict", "--adapter", place / "adapter", "--input", place / "texts.jsonl", "--format", "csv",
                "--threads", threads)
        alone = time.monotonic() - begin
        begin = time.monotonic()
        given = {"ray": with_ray, "spark": with_spark}[engine](place, threads, 1024)
        took = time.monotonic() - begin
        assert len(given) == rows
        print(f"{engine}: {rows} rows, {threads} of one thread each: {took:.1f} s, the program {alone:.1f} s: "
              f"{alone / took:.2f} of its speed, start and end of both included", flush=True)


def program(*words, folder=None):
    done = subprocess.run([sys.executable, "-m", "budwood", *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check_sweep(place):
    """Eight runs; the worker of the first is killed while it trains."""
    runs = 8
    subprocess.run([sys.executable, HERE.parent / "cluster/world.py"], cwd=place, check=True)
    (place / "sweep.toml").write_text(
        f'name = "seeds"\nseeds = {list(range(runs))}\n'
        '[train]\nbase = "base"\nrecipe = "paper"\nepochs = 60\nsave-every = 1\n'
        '[[task]]\ndata = "rows.csv"\n[[method]]\nname = "adapter"\nmethod = "adapter[width=8]"\n'
    )
    os.chdir(place)
    killed = []
    killer = threading.Thread(target=kill_parent, args=("budwood sweep sweep.toml", killed), daemon=True)
    killer.start()
    import ray

    import ray_sweep

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray_sweep.sweep("sweep.toml", "ray", tasks=2)
    ray.shutdown()
    killer.join(5)
    program("sweep", "sweep.toml", "--out", "alone", folder=place)
    found = {}
    for out in ["ray", "alone"]:
        keys = [row[0] for row in sqlite3.connect(place / out / "runs.db").execute("select key from runs")]
        files = (place / out / "adapters").glob("*/adapter.safetensors")
        weights = {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        assert len(keys) == len(weights) == runs, f"{out}: {len(keys)} records, {len(weights)} adapters"
        found[out] = (sorted(keys), weights)
    assert found["ray"] == found["alone"], "keys and weights are those of one machine"
    assert len(killed) == 1, "no worker was killed"
    print(f"sweep: {runs} runs recorded once each with the weights of one machine, one worker killed")


def kill_parent(words, killed):
    """Kills the parent of the first process with these words in its command."""
    for _ in range(3000):
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if words in command:
                time.sleep(2)
                os.kill(parent, signal.SIGKILL)
                killed.append(parent)
                return
        time.sleep(0.05)


def kill_one(loads, killed):
    """Kills the first worker that has opened the adapter."""
    for _ in range(3000):
        if loads.exists() and (pids := loads.read_text().split()):
            time.sleep(0.2)
            os.kill(int(pids[0]), signal.SIGKILL)
            killed.append(pids[0])
            return
        time.sleep(0.05)


def with_ray(place, workers=2, batch_size=256):
    import ray

    import ray_predict

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    data = ray.data.read_parquet(str(place / "input"))
    answers = ray_predict.predict(data, str(place / "adapter"), workers=workers, batch_size=batch_size)
    # Else the rows would be computed twice: to be counted, and to be given.
    answers = answers.materialize().to_pandas(limit=10**9)
    ray.shutdown()
    return answers


def with_spark(place, workers=2, _batch_size=None):
    from pyspark.sql import SparkSession

    import spark_predict

    # Of a task that fails, four tries, as on a cluster.
    spark = SparkSession.builder.master(f"local[{workers},4]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    answers = spark_predict.predict(spark.read.parquet(str(place / "input")), str(place / "adapter")).toPandas()
    spark.stop()
    return answers


if __name__ == "__main__":
    main()
