"""scikit-learn's own battery for estimators.

Estimators of texts are checked by it for little alone, as its data are tables of numbers. So each
row of numbers becomes a text of words here, and the whole battery runs on that.
"""

import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_array

import budwood
from conftest import SHORT, WORDS

#: Checks that have no meaning for texts, and why.
WITHOUT_MEANING = {
    "check_n_features_in": "a text has no number of features",
    "check_n_features_in_after_fitting": "a text has no number of features",
    "check_supervised_y_2d": "a table of one column is a column, without a warning",
    "check_fit2d_1sample": "one row is refused in words of our own",
    "check_classifiers_train": "a base of random numbers learns nothing in an epoch",
    "check_regressors_train": "a base of random numbers learns nothing in an epoch",
}


class OnNumbers:
    def fit(self, X, y):
        return super().fit(as_texts(X), y)

    def _given(self, X):
        return super()._given(X if isinstance(X, list) else as_texts(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string, tags.no_validation = True, False, False
        return tags


def as_texts(X):
    rows = check_array(X)
    return [" ".join(WORDS[int(v * 4) % len(WORDS)] for v in row[:12]) for row in rows]


class Classifier(OnNumbers, budwood.Classifier):
    pass


class Regressor(OnNumbers, budwood.Regressor):
    pass


@pytest.mark.parametrize("Estimator", [Classifier, Regressor])
def test_all_checks_but_those_without_meaning(base, Estimator):
    settings = {**SHORT, "base": base, "epochs": 1, "max_length": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = check_estimator(Estimator(**settings), on_fail=None, on_skip=None)
    # One is for arrays that SciPy must be set up for.
    failed = {t["check_name"] for t in told if t["status"] == "failed"}
    faults = [(t["check_name"], str(t["exception"])[:300]) for t in told if t["check_name"] in failed - set(WITHOUT_MEANING)]
    assert not faults
    ours = {name for name in WITHOUT_MEANING if any(t["check_name"] == name for t in told)}
    assert failed == ours, "a check that passes needs no reason"
    assert sum(t["status"] == "passed" for t in told) > 40


@pytest.mark.parametrize(
    "Estimator",
    [budwood.Classifier, budwood.Regressor, budwood.TokenClassifier, budwood.ImageClassifier],
)
def test_what_it_asks_of_texts(Estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(Estimator())
