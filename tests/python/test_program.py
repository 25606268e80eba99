"""The program of the package begins itself again where it needs a process of its own."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

from conftest import SHORT, flags, program, reviews, write_csv


def test_a_board_runs_an_adapter_again(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv("train.csv", *reviews(60))
    write_csv("held.csv", *reviews(30))
    data = ["--data", "train.csv", "--test-data", "held.csv", "--name", "reviews"]
    program("train", "--base", base, *data, "--out", "a", "--store", "runs.db", *flags(SHORT))
    program("board", "--board", "b", "init")
    row = json.loads(program("submit", 1, "--store", "runs.db", "--board", "b", "--json").stdout)
    said = program("verify", row["result"], "--board", "b").stdout
    assert "attached -> re-evaluated" in said and "0 of 30 predictions" in said


def test_a_board_is_served(tmp_path):
    """The server begins itself again with few arenas of memory."""
    program("board", "--board", tmp_path / "b", "init")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["board", "--board", str(tmp_path / "b"), "serve", "--port", str(port)]
    server = subprocess.Popen([sys.executable, "-m", "budwood", *words], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.1)
        assert b"<html" in page
    finally:
        server.terminate()
        server.wait(20)
