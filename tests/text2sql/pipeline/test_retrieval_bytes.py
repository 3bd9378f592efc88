"""An index as bytes: the same answers after the way there and back, and no harm from bytes that are something else."""

import pickle
import random
import struct
import zlib

import pytest

from tests.benchmarks.catalogs import catalog_make, question_make
from text2sql.pipeline.retrieval import Example, Index, IndexUnreadable, packing
from text2sql.pipeline.schema import Schema


def make_index(tables: int = 120) -> Index:
    schema, chance = catalog_make(tables), random.Random(4)
    names = [table.qualified_name for table in schema.tables]
    examples = [Example(question_make(chance), tuple(chance.sample(names, 3))) for _ in range(30)]
    return Index.build(schema, examples)


def test_an_index_read_back_ranks_alike() -> None:
    index, chance = make_index(), random.Random(6)
    again = Index.from_bytes(index.to_bytes())
    for _ in range(40):
        question = question_make(chance)
        assert again.rank(question, 50) == index.rank(question, 50)
    assert again.to_bytes() == index.to_bytes()


def test_an_empty_index_is_read_back() -> None:
    assert Index.from_bytes(Index.build(Schema("postgres", ())).to_bytes()).rank("anything", 3) == []


def test_the_same_catalog_makes_the_same_bytes() -> None:
    assert make_index().to_bytes() == make_index().to_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"t2sr", b"\x00" * 200, pickle.dumps({"names": []}), b"{}", zlib.compress(b"{}")]
)
def test_bytes_that_are_no_index_are_refused(content: bytes) -> None:
    with pytest.raises(IndexUnreadable):
        Index.from_bytes(content)


def test_another_version_is_refused() -> None:
    content = bytearray(make_index(10).to_bytes())
    content[4] += 1
    with pytest.raises(IndexUnreadable):
        Index.from_bytes(bytes(content))


def test_an_index_cut_short_anywhere_is_refused() -> None:
    content = make_index(10).to_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises(IndexUnreadable):
            Index.from_bytes(content[:length])


def test_damaged_contents_are_refused_or_rank_without_an_error() -> None:
    """Where the compression's checksum is right, as somebody with bad intent would see to."""
    content, chance = make_index(20).to_bytes(), random.Random(8)
    head = struct.calcsize("<4sBI")
    body, refused = zlib.decompress(content[head:]), 0
    for _ in range(400):
        damaged = bytearray(body)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            index = Index.from_bytes(content[:head] + zlib.compress(bytes(damaged)))
        except IndexUnreadable:
            refused += 1
            continue
        assert len(index.rank(question_make(chance), 5)) == 5
    assert refused > 100


def test_bytes_that_unfold_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGEST", 1000)
    with pytest.raises(IndexUnreadable):
        Index.from_bytes(make_index(50).to_bytes())
