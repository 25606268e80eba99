"""Estimators by the rules of scikit-learn, held against scikit-learn itself."""

import copy
import inspect
import json
import pickle
import threading

import numpy as np
import pandas
import polars
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

import budwood
from conftest import GOLDEN, SHORT, program, reviews, write_csv

TEXTS, LABELS = reviews(60)
EACH = [budwood.Classifier, budwood.Regressor, budwood.TokenClassifier, budwood.ImageClassifier]


@pytest.fixture(scope="module")
def settings(base):
    return {**SHORT, "base": base, "epochs": 2}


@pytest.fixture(scope="module")
def fitted(settings):
    return budwood.Classifier(**settings).fit(TEXTS, LABELS)


def tensors(adapter, folder):
    from test_predict import read_safetensors

    adapter.save(folder)
    return read_safetensors(folder / "adapter.safetensors")


@pytest.mark.parametrize("recipe", ["paper", "auto"])
def test_fit_is_the_programs_training(base, tmp_path, recipe):
    path = write_csv(tmp_path / "reviews.csv", TEXTS, LABELS)
    out = tmp_path / "out"
    words = ["--recipe", recipe, "--epochs", 2, "--seed", 7, "--max-length", 16]
    program("train", "--base", base, "--data", path, "--out", out, *words)
    model = budwood.Classifier(base=base, recipe=recipe, epochs=2, seed=7, max_length=16)
    assert model.fit(TEXTS, LABELS) is model
    theirs = budwood.load(out)
    own, other = tensors(model.adapter_, tmp_path / "a"), tensors(theirs, tmp_path / "b")
    assert own.keys() == other.keys()
    assert all((own[name] == other[name]).all() for name in own)
    assert (model.predict_proba(TEXTS) == theirs.predict_proba(TEXTS)).all()
    assert [m["value"] for m in model.run_.metrics] == [m["value"] for m in theirs.metrics]


@pytest.mark.parametrize("Estimator", EACH)
def test_parameters(Estimator):
    model = Estimator(epochs=3, method="lora")
    params = model.get_params()
    assert params["epochs"] == 3 and params["seed"] == budwood.settings()["seed"]
    assert list(inspect.signature(Estimator).parameters) == list(params)
    assert all(p.default == params[n] for n, p in inspect.signature(Estimator).parameters.items() if n not in ("epochs", "method"))
    assert clone(model).get_params() == params
    assert repr(model) == f"{Estimator.__name__}(method='lora', epochs=3)"
    assert model.set_params(seed=5) is model and model.seed == 5
    with pytest.raises(TypeError, match="'epoch'; did you mean 'epochs'"):
        Estimator(epoch=3)
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        model.set_params(epoch=3)
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(["a"])
    with pytest.raises(Exception):
        check_is_fitted(model)
    assert "epochs: Passes over the training data" in Estimator.__doc__
    assert "data" not in params and "text_column" not in params
    assert ("image_size" in params) == (Estimator is budwood.ImageClassifier)


def test_classes_of_users_are_estimators_too(settings):
    class Mine(budwood.Classifier):
        def predict(self, X):
            return super().predict([text.lower() for text in X])

    model = clone(Mine(**settings)).fit(TEXTS, LABELS)
    assert model.predict(["GOOD FILM"]) == budwood.Classifier.predict(model, ["good film"])
    assert model.get_params()["epochs"] == 2


def test_defaults_are_those_of_the_program():
    said = program("train", "--help").stdout
    for name, value in budwood.settings().items():
        flag = f"--{name.replace('_', '-')}"
        assert flag in said, name
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            part = said[said.index(f" {flag} "):].split("\n      --")[0]
            assert f"[default: {value:g}]" in " ".join(part.split()), (name, part)


CASES = {
    "strings": LABELS,
    "whole numbers": [7 if l == "good" else -3 for l in LABELS],
    "truth values": [l == "good" for l in LABELS],
    "numpy strings": np.array(LABELS),
    "objects": np.array(LABELS, object),
    "int32": np.array([l == "good" for l in LABELS], np.int32),
    "numpy truth values": np.array([l == "good" for l in LABELS]),
    "pandas": pandas.Series(LABELS),
    "frame of one column": pandas.DataFrame({"label": LABELS}),
    "nullable": pandas.Series([int(l == "good") for l in LABELS], dtype="Int64"),
    "categories": pandas.Series(LABELS, dtype="category"),
    "polars": polars.Series([3 if l == "good" else 4 for l in LABELS]),
    "list of numpy numbers": [np.int64(l == "good") for l in LABELS],
    "list of numpy strings": [np.str_(l) if i % 2 else l for i, l in enumerate(LABELS)],
    "more than nine": [i % 12 for i in range(60)],
    "more than nine strings": [str(i % 12) for i in range(60)],
    "odd names": ["O'Neil, \"x\"|; <b>" if l == "good" else "--epochs 3" for l in LABELS],
}


@pytest.mark.parametrize("name", CASES)
def test_labels_come_back_as_they_are(settings, name):
    given = CASES[name]
    labels = given["label"] if isinstance(given, pandas.DataFrame) else given
    labels = labels.to_numpy(int) if name == "nullable" else labels
    model = budwood.Classifier(**{**settings, "epochs": 1}).fit(TEXTS, given)
    given, expected = model.predict(TEXTS), np.unique(np.asarray(labels))
    assert (model.classes_ == expected).all()
    if isinstance(labels, np.ndarray):
        assert given.dtype == labels.dtype
    assert type(given.tolist()[0]) is type(np.asarray(labels).tolist()[0])
    assert set(given.tolist()) <= set(np.asarray(labels).tolist())
    probabilities = model.predict_proba(TEXTS)
    assert (model.classes_[probabilities.argmax(axis=1)] == given).all()
    assert model.score(TEXTS, labels) == accuracy_score(np.asarray(labels), given)


def test_columns_of_probabilities_are_those_of_classes(settings):
    """The library sorts numbers by value and NumPy sorts these strings by letters."""
    labels = [str(8 + (l == "good") * 2) for l in LABELS]
    model = budwood.Classifier(**{**settings, "epochs": 30}).fit(TEXTS, labels)
    assert model.classes_.tolist() == ["10", "8"] and model.adapter_.labels == ["8", "10"]
    assert model.score(TEXTS, labels) > 0.9


@pytest.mark.parametrize(
    "X, y, error, said",
    [
        (TEXTS, LABELS[:-1], ValueError, "60 rows in X, but 59 labels in y"),
        ([], [], ValueError, "X is empty"),
        (TEXTS, None, ValueError, "the target y is None: give the labels"),
        (TEXTS, [object()] * 60, TypeError, "labels of object"),
        (["a", "b", "c"], ["x", "y", "\ud800"], ValueError, "y, index 2"),
        ("a film", ["good"], TypeError, r"give a list, \[X\]"),
        (TEXTS, "good", TypeError, r"give a list, \[y\]"),
        (["a", None, "b"], ["x", "y", "x"], ValueError, "X, index 1: the text is missing"),
        (["a", float("nan"), "b"], ["x", "y", "x"], ValueError, "X, index 1"),
        (["a", 3, "b"], ["x", "y", "x"], TypeError, "X, index 1: int is not text"),
        (["a", "b", "c"], ["x", None, "y"], ValueError, "index 1: the label .*missing"),
        (["a", "b", "c"], pandas.Series([1, None, 0], dtype="Int64"), ValueError, "index 1: the label"),
        (["a", "b", "c"], [1.0, float("nan"), 0.0], ValueError, "index 1: the label"),
        (["a", "b", "c"], pandas.DataFrame({"p": [1, 0, 1], "q": [1, 0, 1]}), ValueError, "y has 2 columns"),
        (["a", "b", "c"], ["x", 1, "y"], ValueError, "several types"),
        (["a", "b", "c"], [0.1, 0.5, 1.0], ValueError, "Regressor"),
        (["a", "b", "c"], ["x", "x ", "y"], ValueError, "'x'"),
        (["a"] * 8, ["x"] * 8, ValueError, "at least two classes"),
    ],
)
def test_what_cannot_be_learned_is_refused(settings, X, y, error, said):
    model = budwood.Classifier(**settings)
    with pytest.raises(error, match=said) as fault:
        model.fit(X, y)
    assert "--" not in str(fault.value) and not hasattr(model, "adapter_")


def test_rows_for_choosing(settings):
    model = budwood.Classifier(**settings)
    model.fit(TEXTS, LABELS, dev=(TEXTS[:6], LABELS[:6]), test=(TEXTS[:8], LABELS[:8]))
    rows = {m["split"]: m["rows"] for m in model.run_.metrics}
    assert rows == {"dev": 6, "test": 8}
    with pytest.raises(TypeError, match=r"a pair \(X, y\)"):
        model.fit(TEXTS, LABELS, dev=TEXTS)
    with pytest.raises(ValueError, match="'x' is not one of"):
        model.fit(TEXTS, LABELS, dev=(TEXTS[:2], ["x", "y"]))


def test_a_failed_fit_leaves_the_one_before(fitted, settings):
    model = copy.deepcopy(fitted)
    before = model.predict_proba(TEXTS)
    with pytest.raises(ValueError):
        model.fit(["a", None], ["x", "y"])
    assert (model.predict_proba(TEXTS) == before).all()


def test_rows_without_a_label_may_be_left_out(settings):
    model = budwood.Classifier(missing="drop", **settings)
    with pytest.warns(UserWarning, match="1 rows were left out"):
        model.fit([*TEXTS, "a"], [*LABELS, None])
    assert model.classes_.tolist() == ["bad", "good"]


def test_pickle_by_value(fitted, trained, tmp_path):
    back = pickle.loads(pickle.dumps(fitted))
    assert (back.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    assert back.get_params() == fitted.get_params() and back.classes_.tolist() == ["bad", "good"]
    assert repr(back.run_) == repr(fitted.run_)
    adapter = budwood.load(trained)
    assert (pickle.loads(pickle.dumps(adapter)).predict_proba(TEXTS) == adapter.predict_proba(TEXTS)).all()
    with pytest.raises(ValueError):
        pickle.loads(pickle.dumps(clone(fitted))).predict(["a"])


def test_scikit_learn_uses_it(settings):
    model = budwood.Classifier(**{**settings, "epochs": 1})
    assert is_classifier(model) and is_regressor(budwood.Regressor())
    lower = FunctionTransformer(lambda texts: [t.lower() for t in texts])
    pipe = make_pipeline(lower, model).fit([t.upper() for t in TEXTS], LABELS)
    assert pipe.predict(TEXTS).shape == (60,) and pipe.predict_proba(TEXTS).shape == (60, 2)
    assert make_pipeline(lower, model).set_params(classifier__seed=3)[-1].seed == 3
    scores = cross_val_score(model, TEXTS, LABELS, cv=2, error_score="raise")
    assert len(scores) == 2 and (scores >= 0).all()
    grid = {"epochs": [1, 20], "lr": np.array([0.003])}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(np.array(TEXTS), np.array(LABELS))
    assert search.best_params_["epochs"] == 20 and search.predict(TEXTS[:2]).shape == (2,)


def test_jobs_of_scikit_learn(settings):
    scores = cross_val_score(
        budwood.Classifier(**settings), TEXTS, LABELS, cv=2, n_jobs=2, error_score="raise"
    )
    assert (scores == cross_val_score(budwood.Classifier(**settings), TEXTS, LABELS, cv=2)).all()


def test_pairs_and_frames(settings):
    other = list(reversed(TEXTS))
    by_tuples = budwood.Classifier(**settings).fit(list(zip(TEXTS, other)), LABELS)
    frame = pandas.DataFrame({"premise": TEXTS, "hypothesis": other})
    by_frame = budwood.Classifier(**settings).fit(frame, LABELS)
    expected = by_tuples.predict_proba(list(zip(TEXTS, other)))
    assert (by_frame.predict_proba(frame) == expected).all()
    assert (by_frame.adapter_.predict_proba(pairs=list(zip(TEXTS, other))) == expected).all()
    assert by_frame.adapter_.info["task"]["text_columns"] == ["premise", "hypothesis"]
    assert by_frame.score(polars.DataFrame({"a": TEXTS, "b": other}), LABELS) >= 0
    with pytest.raises(ValueError, match="two texts"):
        by_frame.predict(TEXTS)


def test_several_labels_a_text(settings):
    lists = [["a", "b"] if i % 3 == 0 else ["b"] if i % 3 == 1 else [] for i in range(60)]
    model = budwood.Classifier(**{**settings, "pooling": "mean"}).fit(TEXTS, lists)
    assert model.classes_.tolist() == ["a", "b"]
    assert all(set(given) <= {"a", "b"} for given in model.predict(TEXTS))
    flags = np.array([[int("a" in l), int("b" in l)] for l in lists])
    model = budwood.Classifier(**settings).fit(TEXTS, flags)
    given = model.predict(TEXTS)
    assert given.shape == (60, 2) and set(np.unique(given)) <= {0, 1}
    assert ((model.predict_proba(TEXTS) > 0.5) == given).all()
    assert model.score(TEXTS, flags) == accuracy_score(flags, given)


def test_lists_of_labels_keep_their_type(settings):
    for a, b in ((1, 20), (False, True), ("a", "b")):
        lists = [[a, b] if i % 3 == 0 else [b] if i % 3 == 1 else [] for i in range(60)]
        model = budwood.Classifier(**settings).fit(TEXTS, lists)
        given = model.predict(TEXTS)
        assert model.classes_.tolist() == [a, b] and {type(v) for row in given for v in row} <= {type(a)}
        assert model.score(TEXTS, lists) == np.mean([set(x) == set(y) for x, y in zip(given, lists)])
    # Lists of 0 and 1 that are all as long have a place for each label, as an array of them.
    flags = [[int(i % 3 == 0), int(i % 3 == 1)] for i in range(60)]
    by_lists = budwood.Classifier(**settings).fit(TEXTS, flags)
    by_array = budwood.Classifier(**settings).fit(TEXTS, np.array(flags))
    assert (by_lists.predict(TEXTS) == by_array.predict(TEXTS)).all()
    assert by_lists.score(TEXTS, flags) == accuracy_score(flags, by_lists.predict(TEXTS))
    with pytest.raises(ValueError, match="0 and 1 alone"):
        budwood.Classifier(**settings).fit(TEXTS, 2 * np.array(flags))
    with pytest.raises(ValueError, match="y has 2 columns: give one, or .* an array of 0 and 1"):
        budwood.Classifier(**settings).fit(TEXTS, pandas.DataFrame(flags))


def test_an_array_of_labels_goes_by_the_thresholds(settings, tmp_path):
    flags = np.array([[i % 3 == 0, i % 3 == 1] for i in range(60)], int)
    model = budwood.Classifier(**settings).fit(TEXTS, flags)
    probabilities = model.predict_proba(TEXTS)
    # Neither is 0.5; half of the answers are above.
    thresholds = [float(t) for t in np.median(probabilities, axis=0)]
    model.adapter_.save(tmp_path / "a")
    file = tmp_path / "a" / "adapter.json"
    description = json.loads(file.read_text())
    description["task"]["thresholds"] = thresholds
    file.write_text(json.dumps(description))
    model.adapter_ = budwood.load(tmp_path / "a")
    given = model.predict(TEXTS)
    assert given.dtype == np.int64 and (given == (probabilities > np.float32(thresholds))).all()
    assert not (given == (probabilities > 0.5)).all()
    assert model.predict([]).shape == (0, 2)


def test_numbers(settings):
    numbers = [20.0 + 3 * i for i in range(6)] * 10
    model = budwood.Regressor(**{**settings, "epochs": 20}).fit(TEXTS, numbers)
    given = model.predict(TEXTS)
    assert given.shape == (60,) and given.dtype == np.float32
    assert model.score(TEXTS, numbers) == pytest.approx(r2_score(numbers, given))
    whole = budwood.Regressor(**settings).fit(TEXTS, [int(n) for n in numbers])
    assert whole.adapter_.kind == "regression"
    with pytest.raises(ValueError, match="index 1"):
        budwood.Regressor(**settings).fit(["a", "b", "c"], [1.0, float("nan"), 2.0])


def test_tags(settings):
    sentences = [t.split() for t in TEXTS]
    tags = [["B-X" if w in ("good", "bad") else "O" for w in s] for s in sentences]
    model = budwood.TokenClassifier(**settings).fit(sentences, tags)
    given = model.predict(sentences)
    assert [len(g) for g in given] == [len(s) for s in sentences]
    assert sorted(model.classes_.tolist()) == ["B-X", "O"] and 0 <= model.score(sentences, tags) <= 1
    with pytest.raises(ValueError, match="index 0"):
        budwood.TokenClassifier(**settings).fit([["a", "b"]] * 4, [["O"], ["B-X"]] * 2)


def test_images(tmp_path, base):
    text_base, base = base, str(GOLDEN / "vit")
    dark, light = (np.full((30, 40, 3), v, np.uint8) for v in (10, 240))
    images = [dark, light] * 10
    names = ["dark", "light"] * 10
    model = budwood.ImageClassifier(base=base, recipe="paper", epochs=1).fit(images, names)
    expected = model.predict_proba(images[:2])
    path = tmp_path / "light.bmp"
    from budwood._columns import bitmap

    path.write_bytes(bitmap(light, "x"))
    for other in ([dark, path], [dark, str(path)], [dark, path.read_bytes()], np.stack([dark, light])):
        assert (model.predict_proba(other) == expected).all()
    grey = [image[:, :, 0] for image in images[:2]]
    assert (model.predict_proba(grey) == expected).all()
    with pytest.raises(ValueError, match="index 0: .*float64"):
        model.predict([np.zeros((3, 3))])
    with pytest.raises(FileNotFoundError):
        model.predict([tmp_path / "none.png"])
    with pytest.raises(ValueError, match="base: the data are images, but the base model reads texts"):
        budwood.ImageClassifier(epochs=1, base=text_base).fit(images, names)


def test_the_pixels_of_an_array_are_those_of_the_image():
    from io import BytesIO

    PIL = pytest.importorskip("PIL.Image")
    from budwood._columns import bitmap

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert (np.asarray(PIL.open(BytesIO(bitmap(pixels, "x")))) == pixels).all()


def test_an_image_of_pillow_is_that_of_its_file():
    """It is turned as its file says, and of 16 bits of grey the upper ones are kept."""
    from io import BytesIO

    PIL = pytest.importorskip("PIL.Image")
    from budwood._columns import images

    folder = GOLDEN.parent.parent / "images"
    decoded = json.loads((folder / "cases.json").read_text())["decoded"]
    assert any("orientation-6" in case["file"] for case in decoded)
    for case in decoded:
        with PIL.open(folder / case["file"]) as image:
            (given,) = images([image], "x")
        given, expected = PIL.open(BytesIO(given)), PIL.open(folder / case["expected"])
        assert given.size == expected.size, case
        far = np.abs(np.asarray(given).astype(int) - np.asarray(expected)).max()
        assert far <= case["tolerance"], case


def test_class_weights_by_label(settings):
    model = budwood.Classifier(class_weights={"good": 3, "bad": 0.5}, **settings).fit(TEXTS, LABELS)
    assert model.run_.record["settings"]["class-weights"] == ["good=3", "bad=0.5"]


def test_out_keeps_what_is_trained(settings, tmp_path):
    def stop(event):
        if event["event"] == "step" and event["step"] == 2:
            raise KeyboardInterrupt

    model = budwood.Classifier(**{**settings, "out": tmp_path / "out", "on_event": stop})
    with pytest.raises(KeyboardInterrupt):
        model.fit(TEXTS, LABELS)
    done = []
    model.set_params(on_event=done.append).fit(TEXTS, LABELS)
    assert [e["done"] for e in done if e["event"] == "started"] == [2]
    assert budwood.load(tmp_path / "out").labels == ["bad", "good"]


def test_fits_in_threads(settings):
    expected, all_of_them = budwood.Classifier(**settings).fit(TEXTS, LABELS).predict_proba(TEXTS), []

    def work():
        all_of_them.append(budwood.Classifier(**settings).fit(TEXTS, LABELS).predict_proba(TEXTS))

    threads = [threading.Thread(target=work) for _ in range(3)]
    [t.start() for t in threads]
    [t.join(120) for t in threads]
    assert len(all_of_them) == 3 and all((p == expected).all() for p in all_of_them)
