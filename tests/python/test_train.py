"""Runs are those of the program, to the bit; they stop when they are asked to."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import budwood
from conftest import SHORT, flags, program, reviews, write_csv


def test_a_run_is_that_of_the_program(base, data, trained, tmp_path):
    out = tmp_path / "own"
    run = budwood.train(data, out, base=base, **SHORT)
    for name in ("adapter.json", "adapter.safetensors"):
        assert (out / name).read_bytes() == pathlib.Path(trained, name).read_bytes(), name
    assert run.weights_sha256 == json.loads((out / "adapter.json").read_text())["weights_sha256"]
    printed = program("train", "--base", base, "--data", data, "--out", tmp_path / "p", "--json", *flags(SHORT))
    printed = json.loads(printed.stdout)
    assert printed["metrics"] == run.metrics and printed["steps"] == run.summary["steps"]
    assert "<table>" in run._repr_html_() and "accuracy" in repr(run)
    assert run.load().labels == ["bad", "good"]
    other = budwood.train(data, tmp_path / "other", base=base, **{**SHORT, "seed": 1})
    assert other.weights_sha256 != run.weights_sha256
    with pytest.raises(FileExistsError):
        budwood.train(data, out, base=base, **{**SHORT, "seed": 1})


def test_the_default_recipe_too(base, data, tmp_path):
    program("train", "--base", base, "--data", data, "--out", tmp_path / "p", "--seed", 3)
    run = budwood.train(data, tmp_path / "own", base=base, seed=3)
    theirs = json.loads((tmp_path / "p" / "adapter.json").read_text())
    assert run.weights_sha256 == theirs["weights_sha256"] and run.account


@pytest.mark.parametrize(
    "settings, error, said",
    [
        ({"epoch": 3}, TypeError, "'epoch'; did you mean 'epochs'"),
        ({"epochs": "three"}, ValueError, "epochs"),
        ({"epochs": True}, ValueError, "epochs"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"lr": float("nan")}, ValueError, "lr"),
        ({"lr": "fast"}, ValueError, "lr=.*a number is expected"),
        ({"seed": 1.5}, ValueError, "seed"),
        ({"recipe": "fast"}, ValueError, "recipe"),
        ({"dropout": 2.0}, ValueError, "dropout"),
        ({"max_length": 100000}, ValueError, "max_length"),
        ({"method": "adaptor"}, ValueError, "did you mean"),
        ({"metric": "pearson"}, ValueError, "metric"),
        ({"threads": 0}, ValueError, "threads"),
        ({"save_every": -1}, ValueError, "save_every"),
        ({"prefix_cache": "ram"}, ValueError, "prefix_cache"),
        ({"text_column": "body"}, ValueError, "body"),
        ({"base": "no-such-model"}, FileNotFoundError, "no-such-model"),
        ({"epochs": object()}, TypeError, "epochs"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(base, data, tmp_path, settings, error, said):
    with pytest.raises(error, match=said) as fault:
        budwood.train(data, tmp_path / "out", **{"base": base, **SHORT, **settings})
    assert not any(word in str(fault.value) for word in ("--", "usize", "u64", "f64"))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read(base, tmp_path):
    with pytest.raises(FileNotFoundError):
        budwood.train(tmp_path / "nowhere.csv", tmp_path / "out", base=base)
    path = write_csv(tmp_path / "x.csv", ["a", "b", "c", "d"], ["x", "", "y", "x"])
    with pytest.raises(ValueError, match="missing='drop'"):
        budwood.train(path, tmp_path / "out", base=base)


def test_what_an_event_listener_raises_stops_the_run_which_goes_on(base, data, tmp_path):
    events, out = [], tmp_path / "out"

    def stop(event):
        events.append(event)
        if event["event"] == "step" and event["step"] == 4:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        budwood.train(data, out, base=base, on_event=stop, **SHORT)
    assert events[0]["event"] == "ready" and not (out / "adapter.json").exists()
    events.clear()
    run = budwood.train(data, out, base=base, on_event=events.append, **SHORT)
    assert [e["done"] for e in events if e["event"] == "started"] == [4]
    whole = budwood.train(data, tmp_path / "whole", base=base, **SHORT)
    assert whole.weights_sha256 == run.weights_sha256
    with pytest.raises(TypeError, match="on_event"):
        budwood.train(data, tmp_path / "x", base=base, on_event=3)


INTERRUPTED = """
import os, signal, sys, threading, time, budwood
base, data, out = sys.argv[1:]
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    budwood.train(data, out, base=base, recipe="paper", epochs=100000)
except KeyboardInterrupt:
    print(time.monotonic() - begin)
"""


def test_control_c_raises_promptly(base, data, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-c", INTERRUPTED, base, data, str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 3.0
    assert not (out / "adapter.json").exists(), "nothing is half-written"


def test_the_program_is_interrupted_as_any(base, data, tmp_path):
    """Training saves its work and ends with 130; what saves nothing ends by the signal."""
    begin = [sys.executable, "-m", "budwood"]
    words = ["train", "--base", base, "--data", data, "--out", str(tmp_path / "o"), "--epochs", "100000"]
    child = subprocess.Popen([*begin, *words, "--recipe", "paper"], stderr=subprocess.PIPE, text=True)
    time.sleep(1.5)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=30)[1]
    assert child.returncode == 130 and "progress is saved" in said
    child = subprocess.Popen([*begin, "predict", "--adapter", "x"], stdin=subprocess.PIPE)
    child.communicate(timeout=30)
    assert child.returncode == 1
    child = subprocess.Popen([*begin, "bench", "--base", base, "--seconds", "60"], stderr=subprocess.PIPE)
    time.sleep(1.0)
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == -signal.SIGINT


def test_exit_codes_of_the_program():
    assert program("--version").stdout.startswith("budwood ")
    assert "Usage: budwood" in program("--help").stdout
    assert "Usage: budwood" in program("train", code=2).stderr
    assert program("inspect", "/no/such/folder", code=1).stderr.startswith("error: ")
    methods = json.loads(program("methods", "--json").stdout)
    assert any(m["name"] == "adapter" for m in methods)


def test_the_lock_of_the_interpreter_is_free_while_training(base, data, tmp_path):
    longest, last, stop = [0.0], [time.monotonic()], threading.Event()

    def tick():
        while not stop.is_set():
            now = time.monotonic()
            longest[0] = max(longest[0], now - last[0])
            last[0] = now
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.monotonic()
    budwood.train(data, tmp_path / "out", base=base, **{**SHORT, "epochs": 600})
    took = time.monotonic() - begin
    stop.set()
    thread.join()
    assert took > 0.5 and longest[0] < max(0.3, took / 3)


def test_evaluation_is_that_of_the_program(trained, data):
    given = budwood.evaluate(trained, data)
    printed = json.loads(program("eval", "--adapter", trained, "--data", data, "--json").stdout)
    assert given.scores == printed["scores"] and given.rows == 120
    assert given.confusion.tolist() == printed["confusion"]
    assert given.calibration == printed["calibration"]
    texts, labels = reviews(120)
    in_memory = budwood.evaluate(trained, (texts, labels))
    assert in_memory.scores == given.scores
    right = [p["expected"] == p["predicted"] for p in given.predictions]
    assert given.scores["accuracy"] == np.mean(right) and "<table>" in given._repr_html_()
    assert [p["expected"] for p in given.predictions] == labels
    with pytest.raises(TypeError, match="separater"):
        budwood.evaluate(trained, data, separater=";")
    with pytest.raises(FileNotFoundError):
        budwood.evaluate(trained, "nowhere.csv")
    with pytest.raises(ValueError, match="index 1: .*'other'"):
        budwood.evaluate(trained, (["a", "b"], ["good", "other"]))
    with pytest.raises(ValueError, match="2 rows in X, but 1 labels"):
        budwood.evaluate(trained, (["a", "b"], ["good"]))
