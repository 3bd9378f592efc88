"""The index of a schema's tables, and the ranking of them for a question.

The words of a question are compared with those of each table (BM25); the tables of approved questions like it gain
their votes, and every table gains with the best one of its schema. Then tables are taken one by one, and each one taken
pulls up those that it is joined with. The weights of words, schemas and keys were set beforehand; how words are split
and how examples vote was chosen with Beaver's questions in view, and checked against a union of other sets.
"""

import math
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Self

from text2sql.pipeline.retrieval.documents import documents, table_text
from text2sql.pipeline.retrieval.encoders import Encoder, Vectors
from text2sql.pipeline.retrieval.examples import Example
from text2sql.pipeline.retrieval.links import links
from text2sql.pipeline.retrieval.memory import Memory
from text2sql.pipeline.retrieval.packing import IndexUnreadable, Rows, packed, unpacked
from text2sql.pipeline.retrieval.words import abbreviates, is_short, question_words, stem
from text2sql.pipeline.schema import Schema

SATURATION, LENGTH_SHARE = 1.2, 0.6
"""BM25's k1 and b."""

SCHEMA_PRIOR = 0.3
"""What a table gains where the best table of its schema is the best of all."""

ABBREVIATION = 0.5
"""What a word counts that stands in the catalog as its abbreviation."""


class Index:
    """Build it with `Index.build`, or from the bytes of one that was built. Safe to use from several threads."""

    def __init__(self, texts: dict[str, Any], numbers: dict[str, "array[Any]"], encoder: Encoder | None = None) -> None:
        self._texts, self._numbers = texts, numbers
        self.names: list[str] = texts["names"]
        count = len(self.names)
        terms: list[str] = texts["terms"]
        self._schemas = _rows(numbers, "schemas").check(rows=len(texts["schemas"]), below=count)
        self._found_in = _rows(numbers, "postings").check(rows=len(terms), below=count)
        self._joined = _rows(numbers, "links").check(rows=count, below=count)
        self._weights, self._strengths = numbers["weights"], numbers["strengths"]
        vectors: array[float] = numbers["vectors"]
        self._vectors = Vectors(len(vectors) // count if count else 0, vectors)
        # Vectors of another encoder are of no use.
        self._encoder = encoder if encoder and vectors and encoder.name == texts["encoder"] else None
        sizes = (len(self._weights), len(self._strengths), len(vectors))
        if sizes != (len(self._found_in.values), len(self._joined.values), self._vectors.width * count):
            raise IndexUnreadable("The index is damaged.")
        asked: list[str] = texts["asked"]
        used = _rows(numbers, "example_tables")
        self._memory = Memory(
            asked,
            _rows(numbers, "example_terms").check(rows=len(used), below=len(asked)),
            used.check(rows=len(used), below=count),
        )
        self._terms = {term: position for position, term in enumerate(terms)}
        self._short: defaultdict[str, list[str]] = defaultdict(list)
        for term in filter(is_short, terms):
            self._short[term[0]].append(term)

    @classmethod
    def build(cls, schema: Schema, examples: Iterable[Example] = (), *, encoder: Encoder | None = None) -> Self:
        tables = sorted(schema.tables, key=lambda table: table.qualified_name)
        names = [table.qualified_name for table in tables]
        terms, postings, weights = _postings(documents(tables))
        joined = links(tables)
        schemas: defaultdict[str, list[int]] = defaultdict(list)
        for position, table in enumerate(tables):
            schemas[table.schema or ""].append(position)
        memory = Memory.of(list(examples), {name.lower(): position for position, name in enumerate(names)})
        vectors = Vectors.of([table_text(table) for table in tables], encoder) if encoder else Vectors(0, array("f"))
        return cls(
            {
                "names": names, "terms": terms, "schemas": list(schemas), "asked": memory.terms,
                "encoder": encoder.name if encoder else "",
            },
            {
                **_arrays("schemas", Rows.of(schemas.values())),
                **_arrays("postings", postings),
                **_arrays("links", Rows.of(list(row) for row in joined)),
                **_arrays("example_terms", memory.example_terms),
                **_arrays("example_tables", memory.example_tables),
                "weights": weights,
                "strengths": array("f", (strength for row in joined for strength in row.values())),
                "vectors": vectors.values,
            },
            encoder,
        )  # fmt: skip

    def rank(self, question: str, top: int, *, but_itself: bool = False) -> list[str]:
        """The qualified names of the `top` likeliest tables, the likeliest first; all tables where there are fewer.

        The same for the same question and index. A question that says nothing about the tables gets those that approved
        questions used most, then those that most others are joined with. `but_itself`: approved questions of the same
        words are not looked at.
        """
        memory = self._memory.without(question) if but_itself else self._memory
        relevance = self._relevance(question, memory)
        return [self.names[position] for position in self._taken(relevance, self._with_prior(relevance), memory, top)]

    def to_bytes(self) -> bytes:
        return packed(self._texts, self._numbers)

    @classmethod
    def from_bytes(cls, content: bytes, *, encoder: Encoder | None = None) -> Self:
        """Raises IndexUnreadable for anything that `to_bytes` of this version did not write."""
        texts, numbers = unpacked(content)
        try:
            return cls(texts, numbers, encoder)
        except (KeyError, TypeError, IndexError) as error:
            raise IndexUnreadable("The index is damaged.") from error

    @property
    def byte_count(self) -> int:
        """About how much memory it takes."""
        numbers = sum(values.itemsize * len(values) for values in self._numbers.values())
        texts = sum(sys.getsizeof(text) + 100 for kind in ("names", "terms", "asked") for text in self._texts[kind])
        return numbers + texts + self._memory.byte_count

    def _relevance(self, question: str, memory: Memory) -> list[float]:
        """From 0 to 1 for the best table, by words, meaning and approved questions."""
        relevance = _to_one(self._word_scores(question))
        if self._encoder:
            similar = self._vectors.similarities(question, self._encoder)
            relevance = _to_one([one + other for one, other in zip(relevance, similar, strict=True)])
        for table, votes in memory.votes(question).items():
            relevance[table] += votes
        return _to_one(relevance)

    def _word_scores(self, question: str) -> list[float]:
        scores = [0.0] * len(self.names)
        words = {stem(word): word for word in question_words(question)}
        for stemmed, word in words.items():
            # A table gains by a word once, as it is written or shortened, whichever gives more.
            gains: dict[int, float] = {}
            for term, share in self._terms_for(stemmed, word, words):
                row = self._terms[term]
                start, end = self._found_in.start(row), self._found_in.ends[row]
                for table, weight in zip(self._found_in.values[start:end], self._weights[start:end], strict=True):
                    gain = share * weight
                    if gain > gains.get(table, 0.0):
                        gains[table] = gain
            for table, gain in gains.items():
                scores[table] += gain
        return scores

    def _terms_for(self, stemmed: str, word: str, others: Collection[str]) -> list[tuple[str, float]]:
        """The catalog's words for a word of a question, and what each counts."""
        starts = (word[:length] for length in range(3, len(word) - 1))
        shorter = {term for term in starts if term in self._terms}
        shorter.update(term for term in self._short.get(word[0], ()) if abbreviates(term, word))
        own = [(stemmed, 1.0)] if stemmed in self._terms else []
        return own + [(term, ABBREVIATION) for term in sorted(shorter.difference(others))]

    def _with_prior(self, relevance: Sequence[float]) -> list[float]:
        scores = list(relevance)
        for schema in range(len(self._schemas)):
            tables = self._schemas[schema]
            prior = SCHEMA_PRIOR * max((relevance[table] for table in tables), default=0.0)
            for table in tables:
                scores[table] += prior
        return scores

    def _taken(self, relevance: Sequence[float], scores: list[float], memory: Memory, top: int) -> list[int]:
        """The best tables, each one taken pulling up its neighbours by a part of its own relevance."""
        # Where scores are equal: use in approved questions, then joins, then the name.
        waiting = [
            (-score, -memory.uses[table], -len(self._joined[table]), table) for table, score in enumerate(scores)
        ]
        heapify(waiting)
        taken: dict[int, None] = {}
        pulls: defaultdict[int, float] = defaultdict(float)
        while waiting and len(taken) < top:
            *_, best = heappop(waiting)
            if best in taken:
                continue  # pulled up since, and taken then
            taken[best] = None
            for table, strength in self._neighbours(best, memory):
                pull = strength * relevance[best]
                if pull > pulls[table] and table not in taken:
                    pulls[table] = pull
                    uses, joins = memory.uses[table], len(self._joined[table])
                    heappush(waiting, (-scores[table] - pull, -uses, -joins, table))
        return list(taken)

    def _neighbours(self, table: int, memory: Memory) -> Iterable[tuple[int, float]]:
        start, end = self._joined.start(table), self._joined.ends[table]
        joined = zip(self._joined.values[start:end], self._strengths[start:end], strict=True)
        return [*joined, *memory.used_together(table).items()]


def _postings(found: Sequence[Counter[str]]) -> tuple[list[str], Rows, "array[float]"]:
    """The terms, for each the tables with it, and what a question with it gives to each of those (BM25)."""
    lengths = [document.total() for document in found]
    usual = sum(lengths) / len(found) if found else 0.0
    tables: defaultdict[str, list[int]] = defaultdict(list)
    for table, document in enumerate(found):
        for term in document:
            tables[term].append(table)
    terms = sorted(tables)
    weights = array("f")
    for term in terms:
        rarity = math.log(1 + (len(found) - len(tables[term]) + 0.5) / (len(tables[term]) + 0.5))
        for table in tables[term]:
            count = found[table][term]
            length = 1 - LENGTH_SHARE + LENGTH_SHARE * lengths[table] / usual
            weights.append(rarity * count * (SATURATION + 1) / (count + SATURATION * length))
    return terms, Rows.of(tables[term] for term in terms), weights


def _to_one(scores: list[float]) -> list[float]:
    most = max(scores, default=0.0)
    return [score / most for score in scores] if most > 0 else scores


def _arrays(name: str, rows: Rows) -> dict[str, "array[int]"]:
    return {f"{name}_ends": rows.ends, name: rows.values}


def _rows(numbers: dict[str, "array[Any]"], name: str) -> Rows:
    return Rows(numbers[f"{name}_ends"], numbers[name])
