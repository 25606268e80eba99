#!/usr/bin/env python3
"""Clients that people have, against a running server: huggingface_hub and openai.

    python3 tests/serve/clients.py BUDWOOD BASE ADAPTERS ADAPTER

Starts `BUDWOOD serve --base BASE --adapters ADAPTERS`, asks the text adapter ADAPTER, compares with `BUDWOOD predict`, and ends
the server. Makes a virtual environment in the folder for temporary files for the two packages.
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import environment  # noqa: E402

PACKAGES = ["huggingface_hub", "openai", "numpy"]


def main(program, base, adapters, adapter):
    import numpy as np
    from huggingface_hub import InferenceClient
    from openai import OpenAI

    command = [program, "serve", "--json", "--base", base, "--adapters", adapters, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        told = ""
        while not told.rstrip().endswith("}"):
            line = server.stdout.readline()
            assert line, "the server ended"
            told += line
        url = json.loads(told)["url"].rstrip("/")
        text = "A good film, and so very fine."
        told = subprocess.run([program, "predict", "--json", "--adapter", f"{adapters}/{adapter}", "--base", base, text],
                              capture_output=True, text=True, check=True)
        offline = json.loads(told.stdout)
        offline = offline[0] if isinstance(offline, list) else offline
        client = InferenceClient()
        labels = client.text_classification(text, model=f"{url}/models/{adapter}")
        for one in labels:
            assert one.score == offline["scores"][one.label], (one, offline)
        print("huggingface_hub: text classification as `budwood predict`, to the bit")
        vector = np.asarray(client.feature_extraction(text, model=f"{url}/embed"))
        assert vector.ndim == 2 and abs(float((vector[0] ** 2).sum()) - 1) < 1e-5
        print("huggingface_hub: feature extraction,", vector.shape)
        openai = OpenAI(base_url=f"{url}/v1", api_key="none")
        given = np.asarray(openai.embeddings.create(model="base", input=[text]).data[0].embedding)
        assert np.abs(given - vector[0]).max() < 1e-6
        assert adapter in [m.id for m in openai.models.list()]
        print("openai: embeddings, models")
    finally:
        server.terminate()
        server.wait(timeout=60)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    environment.enter("clients", PACKAGES)
    main(*sys.argv[1:])
