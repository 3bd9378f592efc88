"""Approved questions and the tables that answered them: those most like a new question vote for their tables."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import Self

from text2sql.pipeline.retrieval.examples import Example
from text2sql.pipeline.retrieval.packing import Rows
from text2sql.pipeline.retrieval.words import question_words, stem

NEIGHBOURS = 5
"""Past questions that vote. A vote weighs their similarity (cosine, 0 to 1), so that strangers hardly count."""

USED_TOGETHER = 0.5
"""The part of a chosen table's relevance that goes to a table always used together with it."""


class Memory:
    def __init__(self, terms: Sequence[str], example_terms: Rows, example_tables: Rows) -> None:
        self.terms, self.example_terms, self.example_tables = terms, example_terms, example_tables
        self._positions = {term: position for position, term in enumerate(terms)}
        asked: list[array[int]] = [array("I") for _ in terms]
        for example in range(len(example_terms)):
            for term in example_terms[example]:
                asked[term].append(example)
        self._asked = asked
        count = len(example_terms)
        self._weights = [math.log(1 + (count + 1) / (len(examples) + 0.5)) for examples in asked]
        self._rare = math.log(1 + (count + 1) / 0.5)
        self._lengths = [
            math.sqrt(sum(self._weights[term] ** 2 for term in example_terms[example])) for example in range(count)
        ]
        self.uses = Counter(table for example in range(count) for table in example_tables[example])
        self._together: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for example in range(count):
            for table in example_tables[example]:
                self._together[table].update(other for other in example_tables[example] if other != table)

    @classmethod
    def of(cls, examples: Sequence[Example], positions: Mapping[str, int]) -> Self:
        """`positions` of the tables by their qualified names in small letters; tables that are gone are forgotten."""
        known: dict[str, int] = {}
        asked, used = [], []
        for example in examples:
            tables = sorted({positions[name.lower()] for name in example.tables if name.lower() in positions})
            words = sorted({stem(word) for word in question_words(example.question)})
            if tables and words:
                asked.append([known.setdefault(word, len(known)) for word in words])
                used.append(tables)
        return cls(list(known), Rows.of(asked), Rows.of(used))

    @property
    def byte_count(self) -> int:
        """About what is kept beside the rows: the way back from words to questions, and pairs of tables."""
        pairs = sum(map(len, self._together.values()))
        return 4 * len(self.example_terms.values) + 100 * (len(self.terms) + pairs)

    def votes(self, question: str) -> dict[int, float]:
        """For each table the summed similarity of the neighbours that used it."""
        terms = {stem(word) for word in question_words(question)}
        known = [self._positions[term] for term in sorted(terms) if term in self._positions]
        square = sum(self._weights[term] ** 2 for term in known) + (len(terms) - len(known)) * self._rare**2
        products: defaultdict[int, float] = defaultdict(float)
        for term in known:
            for example in self._asked[term]:
                products[example] += self._weights[term] ** 2
        similar = ((product / (math.sqrt(square) * self._lengths[at]), -at) for at, product in products.items())
        votes: defaultdict[int, float] = defaultdict(float)
        for similarity, at in nlargest(NEIGHBOURS, similar):
            for table in self.example_tables[-at]:
                votes[table] += similarity
        return votes

    def used_together(self, table: int) -> dict[int, float]:
        """The tables used together with one, and how much; a pair seen once counts half as much as one seen always."""
        uses = self.uses[table] + 1
        return {other: USED_TOGETHER * count / uses for other, count in self._together.get(table, {}).items()}
