"""Processes that are begun anew, and those that are forked while a base is in memory."""

import multiprocessing

import numpy as np
import pytest

import budwood
from conftest import SHORT, reviews

TEXTS, LABELS = reviews(40)


def predicted(adapter):
    return adapter.predict_proba(TEXTS)


def fitted(base):
    return budwood.Classifier(base=base, **SHORT).fit(TEXTS, LABELS).predict_proba(TEXTS)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_adapters_in_processes(trained, method):
    adapter = budwood.load(trained)
    expected = adapter.predict_proba(TEXTS)
    with multiprocessing.get_context(method).Pool(2) as pool:
        given = pool.map_async(predicted, [adapter] * 4).get(timeout=120)
    assert all((g == expected).all() for g in given)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_training_in_processes(base, method):
    expected = fitted(base)
    with multiprocessing.get_context(method).Pool(2) as pool:
        given = pool.map_async(fitted, [base] * 2).get(timeout=120)
    assert all((g == expected).all() for g in given)


INHERITED = None


def inherited(_):
    return INHERITED.predict_proba(TEXTS)


def test_a_forked_process_uses_what_it_inherits(trained):
    global INHERITED
    INHERITED = budwood.load(trained)
    expected = INHERITED.predict_proba(TEXTS)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        given = pool.map_async(inherited, range(4)).get(timeout=120)
    assert all((g == expected).all() for g in given)
    assert (INHERITED.predict_proba(TEXTS) == expected).all()
    assert np.isfinite(expected).all()
