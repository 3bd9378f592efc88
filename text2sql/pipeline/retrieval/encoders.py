"""Likeness in meaning, as an extra: without it everything works by words alone."""

from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from math import sqrt
from operator import mul
from typing import Any, Protocol


class Encoder(Protocol):
    """Turns texts into vectors of one length; those of texts that mean the same point the same way."""

    name: str
    """Vectors of encoders of different names are never compared."""

    def encode(self, texts: Sequence[str]) -> Sequence[Sequence[float]]: ...


class EncoderMissing(Exception):
    """The packages or the model are not there; the text says what to do."""


class Vectors:
    """A vector of length one for each table."""

    def __init__(self, width: int, values: "array[float]") -> None:
        self.width, self.values = width, values

    @classmethod
    def of(cls, texts: Sequence[str], encoder: Encoder) -> "Vectors":
        rows = [_unit(row) for row in encoder.encode(texts)]
        return cls(len(rows[0]) if rows else 0, array("f", (value for row in rows for value in row)))

    def similarities(self, question: str, encoder: Encoder) -> list[float]:
        """Of each table with the question, from 0 for the least to 1 for the most similar one."""
        wanted = _unit(encoder.encode([question])[0])
        found = _products(self.values, self.width, wanted)
        least, most = min(found, default=0.0), max(found, default=0.0)
        return [(one - least) / (most - least) if most > least else 0.0 for one in found]


@lru_cache(maxsize=2)
def sentence_encoder(model: str) -> Encoder:
    """The sentence-transformers model of that name or folder, loaded once. Raises EncoderMissing."""
    try:
        transformers = import_module("sentence_transformers")
    except ImportError as error:
        raise EncoderMissing("Install it with `pip install sentence-transformers`.") from error
    try:
        return _SentenceEncoder(model, transformers.SentenceTransformer(model, device="cpu"))
    except (OSError, ValueError) as error:
        raise EncoderMissing(f"The model {model} cannot be loaded: {error}") from error


class _SentenceEncoder:
    def __init__(self, name: str, model: Any) -> None:
        self.name, self._model = name, model

    def encode(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        rows: list[list[float]] = self._model.encode(list(texts), show_progress_bar=False).tolist()
        return rows


def _unit(row: Sequence[float]) -> list[float]:
    length = sqrt(sum(value * value for value in row)) or 1.0
    return [value / length for value in row]


def _products(values: "array[float]", width: int, wanted: Sequence[float]) -> list[float]:
    if not width:
        return []
    if find_spec("numpy"):  # comes with sentence-transformers; twenty times as fast
        numpy: Any = import_module("numpy")
        rows = numpy.frombuffer(values, dtype="f4").reshape(-1, width)
        product: Callable[[], list[float]] = (rows @ numpy.asarray(wanted, dtype="f4")).tolist
        return product()
    return [sum(map(mul, values[at : at + width], wanted)) for at in range(0, len(values), width)]
