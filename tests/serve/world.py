"""What the scripts about the server share: a small world of adapters, a server, questions."""

import http.client
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import tiny  # noqa: E402

WORDS = "good fine great nice lovely bad poor awful sad ugly the a film was is very so and it".split()


def budwood(program, place, *words):
    done = subprocess.run([program, *words], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, f"budwood {' '.join(words)}: {done.stderr}"
    return done.stdout


def make(program, place, adapters):
    """A tiny model in `base`, and adapters `a0`, `a1`, ... of it in `adapters`, each with other answers."""
    tiny.base(place, WORDS)
    draw = random.Random(1)
    with open(place / "train.csv", "w") as out:
        out.write("text,label\n")
        for _ in range(60):
            good = draw.random() < 0.5
            text = draw.choices(WORDS[10:], k=4) + [draw.choice(WORDS[:5] if good else WORDS[5:10])]
            out.write(f"{' '.join(text)},{'fresh' if good else 'rotten'}\n")
    for i in range(adapters):
        budwood(program, place, "train", "--base", "base", "--data", "train.csv", "--out", f"adapters/a{i}", "--epochs", "1",
                "--seed", str(i + 1), "--max-length", "24")


def offline(program, place, adapter, texts):
    """What `budwood predict` says: labels with scores, of each text."""
    with open(place / "texts.jsonl", "w") as out:
        out.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    told = budwood(program, place, "predict", "--json", "--adapter", adapter, "--base", "base", "--input", "texts.jsonl")
    answers = json.loads(told) if told.lstrip().startswith("[") else [json.loads(line) for line in told.splitlines()]
    assert len(answers) == len(texts), told
    return [dict(a["scores"]) for a in answers]


class Server:
    """`budwood serve`, its port and its log."""

    def __init__(self, program, place, *words, environment=None, name="server"):
        self.log = place / f"{name}.log"
        self.process = subprocess.Popen([program, "serve", "--json", "--base", "base", "--port", "0", *words], cwd=place, stdout=subprocess.PIPE,
                                        stderr=open(self.log, "w"), text=True, env={**os.environ, **(environment or {})})
        told = ""
        while not told.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                raise RuntimeError(self.log.read_text())
            told += line
        self.port = int(re.search(r":(\d+)/", told)[1])

    def memory(self):
        """Megabytes of its own."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1024

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=60)


def ask(port, method, path, body=None, headers=None, timeout=60):
    """Status, JSON or text, headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        try:
            return answer.status, json.loads(text), answer.headers
        except ValueError:
            return answer.status, text, answer.headers
    finally:
        connection.close()


def predict(port, adapter, text, **more):
    status, told, headers = ask(port, "POST", "/predict", {"inputs": text, "adapter": adapter}, **more)
    return status, {a["label"]: a["score"] for a in told} if status == 200 else told, headers


def metric(port, name):
    text = ask(port, "GET", "/metrics")[1]
    return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


def free():
    """A port that nobody has."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def s3(bucket):
    """A real S3 server with an empty bucket: its process, its port, and a client of it."""
    import boto3
    port = free()
    server = subprocess.Popen([pathlib.Path(sys.executable).parent / "moto_server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    for _ in range(100):
        try:
            client.create_bucket(Bucket=bucket)
            break
        except Exception:
            time.sleep(0.2)
    return server, port, client
