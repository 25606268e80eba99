"""Columns of any library as lists of plain values."""

from __future__ import annotations

import math
import os
import struct
from typing import Any

import numpy as np

from budwood import _arrow


#: Types of pandas' marks of missing values, which are no numbers.
_MARKS = ("NAType", "NaTType")


def is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, and those of pandas."""
    if value is None or type(value).__name__ in _MARKS:
        return True
    return isinstance(value, float) and math.isnan(value)


def columns(data: Any, name: str) -> tuple[list[str] | None, list[list[Any]]]:
    """The names and values of the columns of a table of any library; of what is no table one
    column without a name.

    Raises:
        TypeError: if it is one text or has no order, and no column.
        ValueError: if it is an array of no dimension.
    """
    if isinstance(data, (str, bytes, os.PathLike)):
        raise TypeError(
            f"{name} is one value ({type(data).__name__}), but a column of them is expected: "
            f"give a list, [{name}]"
        )
    if isinstance(data, (dict, set, frozenset)):
        raise TypeError(f"{name} is a {type(data).__name__}, which has no order: give a list")
    # Pandas' own columns are quicker to read than what it makes of them for Arrow.
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        parts = [data.iloc[:, i] for i in range(len(data.columns))]
        return [str(n) for n in data.columns], [_values(part, name) for part in parts]
    if not hasattr(data, "iloc") and _arrow.has_interface(data):
        try:
            return _arrow.columns(data)
        except UnicodeDecodeError as fault:
            raise ValueError(f"{name}: a text is not in UTF-8: {fault}") from None
        except _arrow.Unread:
            # The library that made a column may know what its values are.
            if hasattr(data, "columns") or not any(hasattr(data, way) for way in _WAYS):
                raise
    return None, [_values(data, name)]


#: Python's own list of pandas and polars, of NumPy, of Arrow.
_WAYS = ("to_list", "tolist", "to_pylist")


def to_list(column: Any, name: str) -> list[Any]:
    """The values of a column: a list, tuple, array or column of any library, or an iterator.

    Raises:
        TypeError: if it is one text or has no order, and no column.
        ValueError: if it is a table of several columns, or an array of no dimension.
    """
    _, values = columns(column, name)
    if len(values) != 1:
        several = ", or for several labels a row an array of 0 and 1" if name == "y" else ""
        raise ValueError(f"{name} has {len(values)} columns: give one{several}")
    return values[0]


def _values(column: Any, name: str) -> list[Any]:
    if hasattr(column, "__array__") and not any(hasattr(column, way) for way in _WAYS):
        column = np.asarray(column)
    if isinstance(column, np.ndarray):
        if column.ndim == 2 and column.shape[1] == 1:
            column = column[:, 0]
        if column.ndim == 0:
            raise ValueError(f"{name} is an array of no dimension: give a list")
        return list(column) if column.ndim > 1 else _without_marks(column.tolist())
    for way in _WAYS:
        if hasattr(column, way):
            return _without_marks(getattr(column, way)())
    try:
        return _without_marks(column)
    except TypeError:
        kind = type(column).__name__
        raise TypeError(f"{name} is a {kind}, but a list of values is expected") from None


def _without_marks(column: Any) -> list[Any]:
    """A list of plain values: NumPy's as Python's, and pandas' marks of missing ones as None."""
    values = list(column)
    # Columns of texts, which most are, hold neither.
    if all(type(value) is str for value in values):
        return values

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        return None if type(value).__name__ in _MARKS else value

    return [plain(value) for value in values]


def texts(data: Any, name: str) -> list[Any]:
    """Texts, or pairs or words as tuples, of a column or of a table of one or two columns."""
    return rows_of(*columns(data, name), name)


def rows_of(names: list[str] | None, values: list[list[Any]], name: str) -> list[Any]:
    """The rows of one column, or pairs of two."""
    if len(values) == 1:
        return [_row(value) for value in values[0]]
    if len(values) == 2:
        return list(zip(values[0], values[1]))
    known = ", ".join(names or [])
    raise ValueError(
        f"{name} has {len(values)} columns ({known}): give the one of the texts, or two for pairs"
    )


def _row(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def images(data: Any, name: str) -> list[Any]:
    """Images as paths or as bytes of a file: of paths, bytes, arrays and images of Pillow."""
    if isinstance(data, np.ndarray) and data.ndim in (3, 4) and data.dtype != object:
        rows: list[Any] = list(data)
    else:
        rows = to_list(data, name)
    return [_image(value, i, name) for i, value in enumerate(rows)]


def _image(value: Any, index: int, name: str) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if hasattr(value, "convert") and hasattr(value, "size"):
        value = _pixels(value)
    if isinstance(value, np.ndarray):
        return bitmap(value, f"{name}, index {index}")
    if is_missing(value):
        raise ValueError(f"{name}, index {index}: the image is missing")
    return value


def _pixels(image: Any) -> np.ndarray[Any, Any]:
    """An image of Pillow as its file would be read: upright, and of 16 bits of grey the upper ones."""
    from PIL import ImageOps  # type: ignore[import-untyped,import-not-found,unused-ignore]

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)
    return np.asarray(image.convert("RGB"))


def bitmap(pixels: np.ndarray[Any, Any], name: str) -> bytes:
    """The bytes of a BMP file of an array ``[height, width]`` or ``[height, width, 3]``, ``uint8``."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(
            f"{name}: an array of {pixels.dtype} {pixels.shape} is no image: give uint8 "
            "[height, width] or [height, width, 3]"
        )
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise ValueError(f"{name}: {pixels.shape[2]} values a pixel; give 3: red, green, blue")
    colours = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    height, width = colours.shape[:2]
    line = (3 * width + 3) // 4 * 4
    rows = np.zeros((height, line), np.uint8)
    # From the bottom, blue first.
    rows[:, : 3 * width] = colours[::-1, :, ::-1].reshape(height, 3 * width)
    size = 54 + rows.size
    head = struct.pack("<2sIHHI", b"BM", size, 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 0, 0, 0, 0)
    return head + info + rows.tobytes()
