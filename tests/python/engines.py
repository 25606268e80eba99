#!/usr/bin/env python3
"""Predictions on the engines that people have: Ray Data and Spark, as `examples/` show them.

    tests/python/engines.py ray WHEEL [--rows 20000]
    tests/python/engines.py spark WHEEL           needs Java (Debian: default-jre-headless)

On a tiny base, a worker is killed while it works. No row may be lost or done twice, each must be
answered as by one process, to the bit, and each worker may open the adapter once.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
sys.path[:0] = [str(HERE.parent), str(EXAMPLES)]

import environment

ENGINES = {"ray": ["ray[data]==2.60.0"], "spark": ["pyspark==4.3.0"]}
if sys.argv[1:2] == [] or sys.argv[1] not in ENGINES:
    sys.exit(__doc__)
environment.enter(f"engine_{sys.argv[1]}", [*ENGINES[sys.argv[1]], "numpy==2.4.6", "pandas", "pyarrow"])

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
    rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else 20_000
    if wheel.suffix == ".whl":
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", "--no-index"]
        subprocess.run([*pip, wheel], check=True)
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "sitecustomize.py").write_text(COUNTER)
        os.environ["BUDWOOD_TEST_LOADS"] = str(place / "loads")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(place), str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
        os.environ["PYSPARK_PYTHON"] = sys.executable
        check(engine, place, rows)


def check(engine, place, rows):
    import budwood
    import numpy as np
    import pandas

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
    (place / "input").mkdir()
    pieces = np.array_split(np.arange(rows), 8)
    for i, piece in enumerate(pieces):
        frame = pandas.DataFrame({"row": piece, "text": [texts[row] for row in piece]})
        # Spark's own Snappy takes a machine that has musl beside glibc for one of musl alone.
        frame.to_parquet(place / "input" / f"{i}.parquet", compression="gzip")
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


def kill_one(loads, killed):
    """Kills the first worker that has opened the adapter."""
    for _ in range(3000):
        if loads.exists() and (pids := loads.read_text().split()):
            time.sleep(0.2)
            os.kill(int(pids[0]), signal.SIGKILL)
            killed.append(pids[0])
            return
        time.sleep(0.05)


def with_ray(place):
    import ray

    import ray_predict

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    data = ray.data.read_parquet(str(place / "input"))
    answers = ray_predict.predict(data, str(place / "adapter"), batch_size=256).to_pandas(limit=10**9)
    ray.shutdown()
    return answers


def with_spark(place):
    from pyspark.sql import SparkSession

    import spark_predict

    # Of a task that fails, four tries, as on a cluster.
    spark = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    answers = spark_predict.predict(spark.read.parquet(str(place / "input")), str(place / "adapter")).toPandas()
    spark.stop()
    return answers


if __name__ == "__main__":
    main()
