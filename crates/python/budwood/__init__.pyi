import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Adapter",
    "Base",
    "Classifier",
    "Error",
    "Evaluation",
    "Explanation",
    "ImageClassifier",
    "OnEvent",
    "Regressor",
    "Run",
    "TokenClassifier",
    "__version__",
    "evaluate",
    "load",
    "settings",
    "train",
]

__version__: str

# A list, tuple, array, or column of pandas, polars or Arrow; or a table of such columns.
_Column: TypeAlias = Any
_Self = TypeVar("_Self", bound="_Estimator")
OnEvent: TypeAlias = Callable[[dict[str, Any]], object]

class Error(Exception): ...

class Base:
    def __init__(
        self,
        name: str | os.PathLike[str] = "minilm",
        *,
        base_precision: Literal["auto", "f32", "int8"] | None = None,
        threads: int | None = None,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def folder(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def info(self) -> dict[str, Any]: ...
    def load(self, path: str | os.PathLike[str]) -> Adapter: ...
    def embed(self, texts: _Column = None, *, images: _Column = None) -> NDArray[np.float32]: ...
    def predict_mixed(self, texts: _Column, adapters: Iterable[Adapter]) -> list[dict[str, Any]]: ...
    def _repr_html_(self) -> str: ...

class Adapter:
    @property
    def base(self) -> Base: ...
    @property
    def info(self) -> dict[str, Any]: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def metrics(self) -> list[dict[str, Any]]: ...
    @property
    def kind(self) -> str: ...
    @property
    def warnings(self) -> list[str]: ...
    def predict(
        self, texts: _Column = None, *, pairs: _Column = None, images: _Column = None
    ) -> Any: ...
    def predict_proba(
        self, texts: _Column = None, *, pairs: _Column = None, images: _Column = None
    ) -> NDArray[np.float32]: ...
    def answers(
        self,
        texts: _Column = None,
        *,
        pairs: _Column = None,
        images: _Column = None,
        top: int | None = None,
        abstain_below: float | None = None,
        n_best: int = 20,
        max_answer_length: int = 30,
    ) -> list[dict[str, Any]]: ...
    def explain(
        self,
        texts: _Column = None,
        *,
        pairs: _Column = None,
        top: int | None = None,
        abstain_below: float | None = None,
    ) -> list[Explanation]: ...
    def embed(
        self, texts: _Column = None, *, pairs: _Column = None, images: _Column = None
    ) -> NDArray[np.float32]: ...
    def save(self, out: str | os.PathLike[str]) -> None: ...
    def to_peft(
        self, out: str | os.PathLike[str], *, transformers: Literal[4, 5] = 4
    ) -> list[str]: ...
    def to_adapterhub(
        self,
        out: str | os.PathLike[str],
        *,
        name: str = "task",
        norms: bool = False,
        headless: bool = False,
    ) -> list[str]: ...
    def to_transformers(self, out: str | os.PathLike[str]) -> list[str]: ...
    def to_sentence_transformers(self, out: str | os.PathLike[str]) -> list[str]: ...
    def to_onnx(
        self,
        out: str | os.PathLike[str],
        *,
        precision: Literal["f32", "int8"] | Sequence[Literal["f32", "int8"]] = "f32",
    ) -> list[str]: ...
    def push(
        self,
        repository: str,
        *,
        form: Literal["budwood", "adapterhub", "peft", "transformers", "onnx"] = "budwood",
        license: str | None = None,
        base_name: str | None = None,
        message: str | None = None,
        private: bool = False,
        dry_run: bool = False,
        name: str | None = None,
        norms: bool = False,
        headless: bool = False,
        transformers: Literal[4, 5] | None = None,
        precision: Literal["f32", "int8"] | Sequence[Literal["f32", "int8"]] = (),
    ) -> dict[str, Any]: ...
    def _repr_html_(self) -> str: ...

class Explanation(dict[str, Any]):
    def _repr_html_(self) -> str: ...

def load(
    path: str | os.PathLike[str],
    base: Base | str | os.PathLike[str] | None = None,
    *,
    base_precision: Literal["auto", "f32", "int8"] | None = None,
    threads: int | None = None,
) -> Adapter: ...

class Run:
    summary: dict[str, Any]
    record: dict[str, Any]
    predictions: dict[str, list[dict[str, Any]]]
    account: str | None
    folder: str | None
    def __init__(self, told: dict[str, Any], folder: str | None) -> None: ...
    @property
    def metrics(self) -> list[dict[str, Any]]: ...
    @property
    def weights_sha256(self) -> str: ...
    def load(self) -> Adapter: ...
    def _repr_html_(self) -> str: ...

def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    on_event: OnEvent | None = None,
    base: str | os.PathLike[str] = "minilm",
    name: str | None = None,
    area: str | None = None,
    dev_data: str | os.PathLike[str] | None = None,
    test_data: str | os.PathLike[str] | None = None,
    test: bool = False,
    dev_share: float | None = None,
    test_share: float = 0.0,
    split_seed: int = 0,
    text_column: str | Sequence[str] = (),
    image_column: str | None = None,
    image_root: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
    label_column: str | Sequence[str] | None = None,
    encoding: str = "auto",
    no_header: bool = False,
    tsv_quotes: bool = False,
    separator: str | None = None,
    paragraphs: bool = False,
    missing: Literal["error", "drop"] = "error",
    label_names: Sequence[str] = (),
    max_classes: int | None = None,
    image_size: int | None = None,
    flip: bool = False,
    random_crop: bool = False,
    train_rows: int | None = None,
    task: str | None = None,
    base_precision: Literal["auto", "f32", "int8"] | None = None,
    backward_precision: Literal["f32", "int8"] = "int8",
    recipe: Literal["auto", "contrastive", "paper"] = "auto",
    method: str = "adapter",
    pooling: Literal["auto", "pooler", "cls", "mean", "cls-mean"] = "auto",
    epochs: int | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    accumulate: int = 1,
    lr: float | None = None,
    warmup: float = 0.1,
    schedule: Literal["linear", "cosine"] = "linear",
    min_lr: float | None = None,
    optimizer: Literal["bert", "adamw"] | None = None,
    weight_decay: float = 0.01,
    clip: float = 1.0,
    seed: int = 0,
    max_length: int | None = None,
    doc_stride: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    frozen_dropout: Literal["on", "off"] = "on",
    eval_every: int | None = None,
    patience: int | None = None,
    mask_share: float | None = None,
    whole_words: bool = False,
    init: str | None = None,
    balanced: bool = False,
    class_weights: Sequence[str] | Mapping[Any, float] = (),
    label_smoothing: float = 0.0,
    drop_last: bool = False,
    metric: str | None = None,
    positive: str | None = None,
    image_cache: int = 1024,
    prefix_cache: Literal["memory", "disk", "off"] = "memory",
    prefix_cache_limit: int = 512,
    save_every: float = 30,
    max_unpacked: int | None = None,
    threads: int | None = None,
) -> Run: ...

class Evaluation:
    scores: dict[str, float]
    rows: int
    labels: list[str]
    predictions: list[dict[str, Any]]
    confusion: NDArray[np.int64] | None
    probabilities: NDArray[np.float32] | None
    calibration: dict[str, Any] | None
    coverage: list[dict[str, Any]] | None
    notes: list[str]
    def __init__(self, told: dict[str, Any]) -> None: ...
    def _repr_html_(self) -> str: ...

def evaluate(
    adapter: Adapter | str | os.PathLike[str],
    data: str | os.PathLike[str] | tuple[_Column, _Column],
    *,
    split: Literal["train", "dev", "test"] = "dev",
    **given: Any,
) -> Evaluation: ...
def settings() -> dict[str, Any]: ...

class _Estimator:
    adapter_: Adapter
    run_: Run
    def fit(
        self: _Self,
        X: _Column,
        y: _Column,
        *,
        dev: tuple[_Column, _Column] | None = None,
        test: tuple[_Column, _Column] | None = None,
    ) -> _Self: ...
    def predict(self, X: _Column) -> Any: ...
    def evaluate(self, X: _Column, y: _Column) -> Evaluation: ...
    def embed(self, X: _Column) -> NDArray[np.float32]: ...
    def score(self, X: _Column, y: _Column) -> float: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self: _Self, **given: Any) -> _Self: ...
    def __getstate__(self) -> dict[str, Any]: ...
    def _repr_html_(self) -> str: ...

class Classifier(_Estimator):
    classes_: NDArray[Any]
    def __init__(
        self,
        *,
        base: str | os.PathLike[str] = "minilm",
        dev_share: float | None = None,
        test_share: float = 0.0,
        split_seed: int = 0,
        missing: Literal["error", "drop"] = "error",
        max_classes: int | None = None,
        train_rows: int | None = None,
        base_precision: Literal["auto", "f32", "int8"] | None = None,
        backward_precision: Literal["f32", "int8"] = "int8",
        recipe: Literal["auto", "contrastive", "paper"] = "auto",
        method: str = "adapter",
        pooling: Literal["auto", "pooler", "cls", "mean", "cls-mean"] = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        accumulate: int = 1,
        lr: float | None = None,
        warmup: float = 0.1,
        schedule: Literal["linear", "cosine"] = "linear",
        min_lr: float | None = None,
        optimizer: Literal["bert", "adamw"] | None = None,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        seed: int = 0,
        max_length: int | None = None,
        doc_stride: int | None = None,
        dropout: float | None = None,
        drop_path: float | None = None,
        frozen_dropout: Literal["on", "off"] = "on",
        eval_every: int | None = None,
        patience: int | None = None,
        init: str | None = None,
        balanced: bool = False,
        class_weights: Sequence[str] | Mapping[Any, float] = (),
        label_smoothing: float = 0.0,
        drop_last: bool = False,
        metric: str | None = None,
        positive: str | None = None,
        prefix_cache: Literal["memory", "disk", "off"] = "memory",
        prefix_cache_limit: int = 512,
        save_every: float = 30,
        threads: int | None = None,
        out: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> None: ...
    def predict_proba(self, X: _Column) -> NDArray[np.float32]: ...
    def score(self, X: _Column, y: _Column, sample_weight: _Column = None) -> float: ...

class ImageClassifier(_Estimator):
    classes_: NDArray[Any]
    def __init__(
        self,
        *,
        base: str | os.PathLike[str] = "minilm",
        dev_share: float | None = None,
        test_share: float = 0.0,
        split_seed: int = 0,
        skip_bad: bool = False,
        missing: Literal["error", "drop"] = "error",
        max_classes: int | None = None,
        image_size: int | None = None,
        flip: bool = False,
        random_crop: bool = False,
        train_rows: int | None = None,
        base_precision: Literal["auto", "f32", "int8"] | None = None,
        backward_precision: Literal["f32", "int8"] = "int8",
        recipe: Literal["auto", "contrastive", "paper"] = "auto",
        method: str = "adapter",
        pooling: Literal["auto", "pooler", "cls", "mean", "cls-mean"] = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        accumulate: int = 1,
        lr: float | None = None,
        warmup: float = 0.1,
        schedule: Literal["linear", "cosine"] = "linear",
        min_lr: float | None = None,
        optimizer: Literal["bert", "adamw"] | None = None,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        seed: int = 0,
        dropout: float | None = None,
        drop_path: float | None = None,
        frozen_dropout: Literal["on", "off"] = "on",
        eval_every: int | None = None,
        patience: int | None = None,
        init: str | None = None,
        balanced: bool = False,
        class_weights: Sequence[str] | Mapping[Any, float] = (),
        label_smoothing: float = 0.0,
        drop_last: bool = False,
        metric: str | None = None,
        positive: str | None = None,
        image_cache: int = 1024,
        prefix_cache: Literal["memory", "disk", "off"] = "memory",
        prefix_cache_limit: int = 512,
        save_every: float = 30,
        threads: int | None = None,
        out: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> None: ...
    def predict_proba(self, X: _Column) -> NDArray[np.float32]: ...
    def score(self, X: _Column, y: _Column, sample_weight: _Column = None) -> float: ...

class Regressor(_Estimator):
    def __init__(
        self,
        *,
        base: str | os.PathLike[str] = "minilm",
        dev_share: float | None = None,
        test_share: float = 0.0,
        split_seed: int = 0,
        missing: Literal["error", "drop"] = "error",
        max_classes: int | None = None,
        train_rows: int | None = None,
        base_precision: Literal["auto", "f32", "int8"] | None = None,
        backward_precision: Literal["f32", "int8"] = "int8",
        recipe: Literal["auto", "contrastive", "paper"] = "auto",
        method: str = "adapter",
        pooling: Literal["auto", "pooler", "cls", "mean", "cls-mean"] = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        accumulate: int = 1,
        lr: float | None = None,
        warmup: float = 0.1,
        schedule: Literal["linear", "cosine"] = "linear",
        min_lr: float | None = None,
        optimizer: Literal["bert", "adamw"] | None = None,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        seed: int = 0,
        max_length: int | None = None,
        doc_stride: int | None = None,
        dropout: float | None = None,
        drop_path: float | None = None,
        frozen_dropout: Literal["on", "off"] = "on",
        eval_every: int | None = None,
        patience: int | None = None,
        init: str | None = None,
        balanced: bool = False,
        class_weights: Sequence[str] | Mapping[Any, float] = (),
        label_smoothing: float = 0.0,
        drop_last: bool = False,
        metric: str | None = None,
        positive: str | None = None,
        prefix_cache: Literal["memory", "disk", "off"] = "memory",
        prefix_cache_limit: int = 512,
        save_every: float = 30,
        threads: int | None = None,
        out: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> None: ...
    def score(self, X: _Column, y: _Column, sample_weight: _Column = None) -> float: ...

class TokenClassifier(_Estimator):
    classes_: NDArray[Any]
    def __init__(
        self,
        *,
        base: str | os.PathLike[str] = "minilm",
        dev_share: float | None = None,
        test_share: float = 0.0,
        split_seed: int = 0,
        missing: Literal["error", "drop"] = "error",
        max_classes: int | None = None,
        train_rows: int | None = None,
        base_precision: Literal["auto", "f32", "int8"] | None = None,
        backward_precision: Literal["f32", "int8"] = "int8",
        recipe: Literal["auto", "contrastive", "paper"] = "auto",
        method: str = "adapter",
        pooling: Literal["auto", "pooler", "cls", "mean", "cls-mean"] = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        accumulate: int = 1,
        lr: float | None = None,
        warmup: float = 0.1,
        schedule: Literal["linear", "cosine"] = "linear",
        min_lr: float | None = None,
        optimizer: Literal["bert", "adamw"] | None = None,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        seed: int = 0,
        max_length: int | None = None,
        doc_stride: int | None = None,
        dropout: float | None = None,
        drop_path: float | None = None,
        frozen_dropout: Literal["on", "off"] = "on",
        eval_every: int | None = None,
        patience: int | None = None,
        init: str | None = None,
        balanced: bool = False,
        class_weights: Sequence[str] | Mapping[Any, float] = (),
        label_smoothing: float = 0.0,
        drop_last: bool = False,
        metric: str | None = None,
        positive: str | None = None,
        prefix_cache: Literal["memory", "disk", "off"] = "memory",
        prefix_cache_limit: int = 512,
        save_every: float = 30,
        threads: int | None = None,
        out: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> None: ...
