"""What a notebook shows of a run that goes on: a stand-in for IPython keeps its pictures."""

import subprocess
import sys
import types

import pytest

import budwood
from conftest import SHORT, reviews

TEXTS, LABELS = reviews(60)


@pytest.fixture
def pictures(monkeypatch):
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(picture._repr_html_())

    def display(picture, display_id):
        assert display_id is True
        shown.append(picture._repr_html_())
        return Handle()

    ipython, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def test_a_bar_in_a_notebook(base, pictures):
    model = budwood.Classifier(**{**SHORT, "base": base}).fit(TEXTS, LABELS)
    steps = model.run_.summary["steps"]
    assert 2 <= len(pictures) < steps + 10
    assert f'<progress max="{steps}" value="{steps}"' in pictures[-1] or "accuracy" in pictures[-1]
    assert any(f"step {steps} of {steps}" in p for p in pictures)
    assert "accuracy" in pictures[-1]
    pictures.clear()
    budwood.Classifier(**{**SHORT, "base": base}, on_event=lambda _: None).fit(TEXTS, LABELS)
    assert not pictures, "who listens shows what they like"


def test_no_bar_elsewhere(base, pictures, capsys):
    sys.modules["IPython"].get_ipython = lambda: None
    budwood.Classifier(**{**SHORT, "base": base}).fit(TEXTS, LABELS)
    assert not pictures and capsys.readouterr() == ("", "")


def test_a_fit_that_was_stopped_goes_on(base):
    """Without a folder of its own, too."""
    settings = {**SHORT, "base": base}
    expected = budwood.Classifier(**settings).fit(TEXTS, LABELS)
    events = []

    def stop(event):
        if event["event"] == "step" and event["step"] == 4:
            raise KeyboardInterrupt

    model = budwood.Classifier(**settings, on_event=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TEXTS, LABELS)
    assert not hasattr(model, "adapter_")
    model.set_params(on_event=events.append).fit(TEXTS, LABELS)
    assert [e["done"] for e in events if e["event"] == "started"] == [4]
    assert (model.predict_proba(TEXTS) == expected.predict_proba(TEXTS)).all()
    assert model.run_.weights_sha256 == expected.run_.weights_sha256
    # Another run begins anew: of other settings, or on other rows.
    for change, texts in (({"seed": 1}, TEXTS), ({}, TEXTS[::-1])):
        model.set_params(on_event=stop, seed=0)
        with pytest.raises(KeyboardInterrupt):
            model.fit(TEXTS, LABELS)
        events.clear()
        model.set_params(on_event=events.append, **change).fit(texts, LABELS)
        assert [e["done"] for e in events if e["event"] == "started"] == [0]


def test_a_stopped_fit_is_pickled_without_its_folder(base):
    import copy
    import os
    import pickle

    def stop(event):
        if event["event"] == "step":
            raise KeyboardInterrupt

    model = budwood.Classifier(**SHORT, base=base, on_event=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TEXTS, LABELS)
    place = model._kept[1].name
    assert os.path.isdir(place)
    model.on_event = None
    assert not hasattr(pickle.loads(pickle.dumps(model)), "_kept")
    assert not hasattr(copy.deepcopy(model), "_kept")
    assert os.path.isdir(place)
    del model
    assert not os.path.exists(place)


INTERRUPTED = """
import os, signal, sys, threading, budwood
base, = sys.argv[1:]
texts, labels = ["good film", "bad film"] * 30, ["good", "bad"] * 30
model = budwood.Classifier(base=base, recipe="paper", epochs=100000)
threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    model.fit(texts, labels)
except KeyboardInterrupt:
    events = []
    class Enough(Exception): pass
    def see(event):
        events.append(event)
        if event["event"] == "step":
            raise Enough
    try:
        model.set_params(on_event=see).fit(texts, labels)
    except Enough:
        print([e["done"] for e in events if e["event"] == "started"][0])
"""


def test_control_c_keeps_what_is_trained(base):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, base], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
