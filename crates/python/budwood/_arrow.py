"""Columns by the Arrow C interface, read where they lie.

Any library's column that has ``__arrow_c_stream__`` or ``__arrow_c_array__`` is read without that
library and without a copy of the column: each text is decoded from Arrow's own buffer. The layout is
that of "The Arrow C data interface", "The Arrow C stream interface" and "The Arrow PyCapsule
interface" (arrow.apache.org).
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Iterator

import numpy as np


class _Schema(ctypes.Structure):
    """``struct ArrowSchema``."""


class _Array(ctypes.Structure):
    """``struct ArrowArray``."""


class _Stream(ctypes.Structure):
    """``struct ArrowArrayStream``."""


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Schema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_Stream))),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))),
    ("private_data", ctypes.c_void_p),
]

#: Numbers by their letters in a schema's format.
_NUMBERS = {
    "c": np.int8, "C": np.uint8, "s": np.int16, "S": np.uint16, "i": np.int32, "I": np.uint32,
    "l": np.int64, "L": np.uint64, "e": np.float16, "f": np.float32, "g": np.float64,
}  # fmt: skip


class Unread(TypeError):
    """A column of a type that has no meaning here, such as dates."""


def has_interface(column: object) -> bool:
    """Whether a column or table can be read by :func:`columns`."""
    return hasattr(column, "__arrow_c_stream__") or hasattr(column, "__arrow_c_array__")


def columns(data: Any) -> tuple[list[str] | None, list[list[Any]]]:
    """The names and values of a table's columns, or no names and one column.

    Raises:
        Unread: if a column is of a type that has no meaning here.
    """
    names: list[str] | None = None
    parts: list[list[list[Any]]] = []
    for schema, array in _chunks(data):
        is_table = schema.format == b"+s"
        children = [schema.children[i].contents for i in range(schema.n_children if is_table else 0)]
        if array is None:
            names = [(child.name or b"").decode() for child in children] if is_table else None
        elif is_table:
            there = _there("+s", array, array.offset, array.length)
            part = []
            for i, child in enumerate(children):
                try:
                    column = _values(child, array.children[i].contents, array.offset, array.length)
                except Unread as fault:
                    raise Unread(f"column '{(names or [])[i]}': {fault}") from None
                part.append(_where(there, column))
            parts.append(part)
        else:
            parts.append([_values(schema, array, 0, array.length)])
    width = 1 if names is None else len(names)
    return names, [[value for part in parts for value in part[i]] for i in range(width)]


def _pointer(capsule: Any, name: bytes) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, name))


def _chunks(data: Any) -> Iterator[tuple[_Schema, _Array | None]]:
    """The schema of a column alone, then with each piece.

    What the capsules hold they release themselves.
    """
    if not hasattr(data, "__arrow_c_stream__"):
        of_schema, of_array = data.__arrow_c_array__()
        schema = _Schema.from_address(_pointer(of_schema, b"arrow_schema"))
        yield schema, None
        yield schema, _Array.from_address(_pointer(of_array, b"arrow_array"))
        return
    capsule = data.__arrow_c_stream__()
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    here = ctypes.byref(stream)

    def fetch(call: Callable[..., int], into: Any) -> Any:
        code = call(here, ctypes.byref(into))
        if code != 0:
            said = stream.get_last_error(here) or b""
            raise OSError(code, f"the column's stream of Arrow ends: {said.decode(errors='replace')}")
        return into

    schema = fetch(stream.get_schema, _Schema())
    try:
        yield schema, None
        while (array := fetch(stream.get_next, _Array())).release:
            try:
                yield schema, array
            finally:
                array.release(ctypes.byref(array))
    finally:
        schema.release(ctypes.byref(schema))


def _numbers(address: int | None, kind: Any, first: int, count: int) -> np.ndarray[Any, Any]:
    """A view of numbers in a buffer."""
    if not count or not address:
        return np.zeros(count, kind)
    size = np.dtype(kind).itemsize
    memory = (ctypes.c_char * (size * count)).from_address(address + size * first)
    return np.frombuffer(memory, kind)


def _bits(address: int, first: int, count: int) -> list[bool]:
    """Bits of a buffer, the lowest of each byte first."""
    begin = first // 8
    octets = _numbers(address, np.uint8, begin, (first + count + 7) // 8 - begin)
    bits = np.unpackbits(octets, bitorder="little")[first % 8 :][:count]
    return bits.astype(bool).tolist()  # type: ignore[no-any-return]


def _values(schema: _Schema, array: _Array, first: int, count: int) -> list[Any]:
    """Values of an array from the one of this place, counted from its own offset; missing ones are None."""
    if not count:
        return []
    format, first = schema.format.decode(), first + array.offset
    if schema.dictionary:
        indices = _plain(format, array, first, count)
        words = array.dictionary.contents
        known = _values(schema.dictionary.contents, words, 0, words.length)
        there = _there(format, array, first, count)
        # An index beside a missing value may be any.
        return [
            known[index] if there is None or there[i] else None for i, index in enumerate(indices)
        ]
    if format in ("+l", "+L"):
        kind = np.int32 if format == "+l" else np.int64
        ends = _numbers(array.buffers[1], kind, first, count + 1).tolist()
        items = _values(schema.children[0].contents, array.children[0].contents, ends[0], ends[-1] - ends[0])
        values: list[Any] = [items[a - ends[0] : b - ends[0]] for a, b in zip(ends, ends[1:])]
    else:
        values = _plain(format, array, first, count)
    return _where(_there(format, array, first, count), values)


def _where(there: list[bool] | None, values: list[Any]) -> list[Any]:
    """Values, and None in the place of those that are not there."""
    return values if there is None else [v if t else None for v, t in zip(values, there)]


def _there(format: str, array: _Array, first: int, count: int) -> list[bool] | None:
    """Which values are there; None if all are."""
    if format == "n" or array.null_count == 0 or not array.n_buffers or not array.buffers[0]:
        return None
    return _bits(array.buffers[0], first, count)


def _plain(format: str, array: _Array, first: int, count: int) -> list[Any]:
    """Texts, bytes, numbers or truth values."""
    if format == "n":
        return [None] * count
    if format == "b":
        return _bits(array.buffers[1], first, count)
    if format in _NUMBERS:
        return _numbers(array.buffers[1], _NUMBERS[format], first, count).tolist()  # type: ignore[no-any-return]
    if format in ("u", "U", "z", "Z"):
        pieces = _pieces(np.int32 if format in "uz" else np.int64, array, first, count)
    elif format in ("vu", "vz"):
        pieces = _views(array, first, count)
    else:
        raise Unread(f"columns of Arrow's type '{format}' are not read")
    if format in ("z", "Z", "vz"):
        return list(pieces)
    # Bytes beside a missing value may be no text.
    there = _there(format, array, first, count)
    return [p.decode() if there is None or there[i] else None for i, p in enumerate(pieces)]


def _pieces(kind: Any, array: _Array, first: int, count: int) -> Iterator[bytes]:
    """What lies between the offsets of the second buffer in the third."""
    ends = _numbers(array.buffers[1], kind, first, count + 1).tolist()
    size = ends[-1] - ends[0]
    # A view: only the pieces are copied.
    memory = _numbers(array.buffers[2], np.uint8, ends[0], size).data
    return (memory[a - ends[0] : b - ends[0]].tobytes() for a, b in zip(ends, ends[1:]))


def _views(array: _Array, first: int, count: int) -> Iterator[bytes]:
    """Short pieces lie in their views of 16 bytes, long ones in buffers that these name."""
    views = _numbers(array.buffers[1], np.uint8, 16 * first, 16 * count)
    fields = views.view(np.int32).reshape(-1, 4).tolist()
    memory = views.data
    # The last buffer holds the lengths of those between it and the views.
    lengths = _numbers(array.buffers[array.n_buffers - 1], np.int64, 0, array.n_buffers - 3)
    buffers = [
        _numbers(array.buffers[2 + i], np.uint8, 0, int(length)).data
        for i, length in enumerate(lengths)
    ]
    for i, (length, _, buffer, offset) in enumerate(fields):
        if length <= 12:
            yield memory[16 * i + 4 : 16 * i + 4 + length].tobytes()
        else:
            yield buffers[buffer][offset : offset + length].tobytes()
