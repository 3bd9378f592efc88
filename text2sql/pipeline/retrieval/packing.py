"""An index as bytes: a marker, a version, then compressed text and numbers. Nothing in it is ever executed."""

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

VERSION = 1
LARGEST = 512 * 1024 * 1024
"""Bytes that a packed index may unfold to."""

_HEAD = struct.Struct("<4sBI")
_MARKER = b"t2sr"
_NUMBERS = {"I": 4, "f": 4}


class IndexUnreadable(ValueError):
    """Not an index, one of another version, or damaged: build it anew."""


class Rows:
    """Rows of whole numbers, of any lengths, in two arrays."""

    def __init__(self, ends: "array[int]", values: "array[int]") -> None:
        self.ends, self.values = ends, values

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> "array[int]":
        return self.values[self.start(row) : self.ends[row]]

    def start(self, row: int) -> int:
        return self.ends[row - 1] if row else 0

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Self:
        ends, values = array("I"), array("I")
        for row in rows:
            values.extend(row)
            ends.append(len(values))
        return cls(ends, values)

    def check(self, *, rows: int, below: int) -> Self:
        """Raises IndexUnreadable unless it has so many rows, of numbers below the bound."""
        ordered = all(one <= other for one, other in zip(self.ends, self.ends[1:], strict=False))
        full = (self.ends[-1] if self.ends else 0) == len(self.values)
        if len(self.ends) != rows or not ordered or not full or max(self.values, default=-1) >= below:
            raise IndexUnreadable("The index is damaged.")
        return self


def packed(texts: Mapping[str, Any], numbers: Mapping[str, "array[Any]"]) -> bytes:
    layout = {name: [values.typecode, len(values)] for name, values in numbers.items()}
    head = json.dumps({"texts": texts, "numbers": layout}, ensure_ascii=False, separators=(",", ":")).encode()
    body = b"".join([head, *(_swapped(values).tobytes() for values in numbers.values())])
    return _HEAD.pack(_MARKER, VERSION, len(head)) + zlib.compress(body, 6)


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, "array[Any]"]]:
    """What `packed` was given. Raises IndexUnreadable."""
    try:
        marker, version, length = _HEAD.unpack_from(content)
        unfolding = zlib.decompressobj()
        body = unfolding.decompress(memoryview(content)[_HEAD.size :], LARGEST)
        if marker != _MARKER or version != VERSION or not unfolding.eof:
            raise IndexUnreadable("The index is of another version, or cut short.")
        head = json.loads(body[:length])
        return head["texts"], _numbers(head["numbers"], memoryview(body)[length:])
    except (struct.error, zlib.error, KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError) as error:
        raise IndexUnreadable("These bytes are no index.") from error
    except json.JSONDecodeError as error:
        raise IndexUnreadable("The index is damaged.") from error


def _numbers(layout: dict[str, list[Any]], body: memoryview) -> dict[str, "array[Any]"]:
    numbers: dict[str, array[Any]] = {}
    start = 0
    for name, (kind, count) in layout.items():
        end = start + _NUMBERS[kind] * count
        if not start <= end <= len(body):
            raise IndexUnreadable("The index is cut short.")
        values: array[Any] = array(kind)
        values.frombytes(body[start:end])
        numbers[name], start = _swapped(values), end
    return numbers


def _swapped(values: "array[Any]") -> "array[Any]":
    if sys.byteorder == "little":
        return values
    turned = array(values.typecode, values)
    turned.byteswap()
    return turned
