"""Approved questions and the tables that answered them: those most like a new question vote for their tables."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from text2sql.pipeline.retrieval.examples import Example
from text2sql.pipeline.retrieval.likeness import Likeness, likeness_words
from text2sql.pipeline.retrieval.packing import Rows

NEIGHBOURS = 5
"""Past questions that vote. A vote weighs their likeness (cosine, 0 to 1), so that strangers hardly count."""

USED_TOGETHER = 0.5
"""The part of a chosen table's relevance that goes to a table always used together with it."""


class Memory:
    def __init__(self, terms: Sequence[str], example_terms: Rows, example_tables: Rows) -> None:
        self.terms, self.example_terms, self.example_tables = terms, example_terms, example_tables
        count = len(example_terms)
        self._likeness = Likeness([[terms[term] for term in example_terms[example]] for example in range(count)])
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
            words = sorted(likeness_words(example.question))
            if tables and words:
                asked.append([known.setdefault(word, len(known)) for word in words])
                used.append(tables)
        return cls(list(known), Rows.of(asked), Rows.of(used))

    @property
    def byte_count(self) -> int:
        """About what is kept beside the rows: the way back from words to questions, and pairs of tables."""
        pairs = sum(map(len, self._together.values()))
        return 4 * len(self.example_terms.values) + 100 * (len(self.terms) + pairs)

    def without(self, question: str) -> Self:
        """What would be known if no question of the same words had been approved."""
        asked = likeness_words(question)
        others = [
            example
            for example in range(len(self.example_terms))
            if {self.terms[term] for term in self.example_terms[example]} != asked
        ]
        if len(others) == len(self.example_terms):
            return self
        terms, tables = ([rows[example] for example in others] for rows in (self.example_terms, self.example_tables))
        return type(self)(self.terms, Rows.of(terms), Rows.of(tables))

    def votes(self, question: str) -> dict[int, float]:
        """For each table the summed likeness of the neighbours that used it."""
        votes: defaultdict[int, float] = defaultdict(float)
        for example, likeness in self._likeness.rank(question, limit=NEIGHBOURS):
            for table in self.example_tables[example]:
                votes[table] += likeness
        return votes

    def used_together(self, table: int) -> dict[int, float]:
        """The tables used together with one, and how much; a pair seen once counts half as much as one seen always."""
        uses = self.uses[table] + 1
        return {other: USED_TOGETHER * count / uses for other, count in self._together.get(table, {}).items()}
