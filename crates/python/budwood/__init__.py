"""Train, load and use small task adapters on one frozen encoder.

>>> import budwood
>>> model = budwood.Classifier(epochs=2)
>>> model.fit(["fine", "awful", ...], ["good", "bad", ...])  # doctest: +SKIP
>>> model.predict(["a film to see twice"])  # doctest: +SKIP

What is here is the Rust library; settings are those of the program ``budwood train``, with the same
names and defaults. See ``docs/python.md``.
"""

from importlib import import_module as _import_module

# Modules are loaded when they are asked for, so that the program begins without NumPy.
_HOMES = {
    "Adapter": "_adapter",
    "Base": "_base",
    "Classifier": "_estimators",
    "Error": "_budwood",
    "Evaluation": "_evaluation",
    "Explanation": "_explanation",
    "ImageClassifier": "_estimators",
    "OnEvent": "_run",
    "Regressor": "_estimators",
    "Run": "_run",
    "TokenClassifier": "_estimators",
    "__version__": "_budwood",
    "evaluate": "_evaluation",
    "load": "_adapter",
    "settings": "_settings",
    "train": "_run",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'budwood' has no attribute '{name}'")
    value = getattr(_import_module(f"budwood.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
