"""Likeness in meaning, with an encoder that is told which words mean the same."""

from collections.abc import Sequence

import pytest

from text2sql.pipeline.retrieval import EncoderMissing, Index, sentence_encoder
from text2sql.pipeline.schema import Column, Schema, Table

MEANINGS = (("revenue", "turnover", "income"), ("staff", "employee", "people"), ("weather", "rain", "sun"))


class MeaningsEncoder:
    name = "meanings-1"

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(sum(word in text.lower() for word in words)) for words in MEANINGS] for text in texts]


def make_schema() -> Schema:
    names = ("rain", "turnover", "employee")
    return Schema("postgres", tuple(Table(name, (Column("x", "int"),)) for name in names))


def test_a_table_is_found_by_what_it_means() -> None:
    index = Index.build(make_schema(), encoder=MeaningsEncoder())
    assert index.rank("What was our revenue?", 1) == ["turnover"]
    assert index.rank("How many staff are there?", 1) == ["employee"]


def test_meanings_survive_the_way_through_bytes_for_the_same_encoder_only() -> None:
    content = Index.build(make_schema(), encoder=MeaningsEncoder()).to_bytes()
    other = MeaningsEncoder()
    other.name = "meanings-2"
    by_name = ["employee", "rain", "turnover"]
    assert Index.from_bytes(content, encoder=MeaningsEncoder()).rank("revenue", 1) == ["turnover"]
    assert Index.from_bytes(content, encoder=other).rank("revenue", 3) == by_name
    assert Index.from_bytes(content).rank("revenue", 3) == by_name


def test_a_missing_package_is_told_with_what_to_do() -> None:
    with pytest.raises(EncoderMissing, match="pip install sentence-transformers"):
        sentence_encoder("no-such-folder/no-such-model")
