"""How like two questions are, by their words: rare ones count for more, and order does not matter."""

import math
from array import array
from collections import defaultdict
from collections.abc import Collection, Sequence
from heapq import nlargest

from text2sql.pipeline.retrieval.words import question_words, stem

NEAR = 0.75
"""From this likeness on two questions may well be the same one in other words."""
SAME = 1 - 1e-9


def likeness_words(question: str) -> set[str]:
    return {stem(word) for word in question_words(question)}


class Likeness:
    """Questions, each by its words, that another one can be compared with.

    The likeness is the cosine of two vectors of inverse document frequencies, from 0 to 1 (Manning, Raghavan, Schütze:
    Introduction to Information Retrieval, 6.3); how often a word stands in one question says nothing.
    """

    def __init__(self, questions: Sequence[Collection[str]]) -> None:
        self._holders: dict[str, array[int]] = {}
        for place, words in enumerate(questions):
            for word in words:
                self._holders.setdefault(word, array("I")).append(place)
        self._count = len(questions)
        self._lengths = [self._length(words) for words in questions]

    def rank(self, question: str, *, limit: int, least: float = 0.0, most: float = math.inf) -> list[tuple[int, float]]:
        """Places of the likest questions with their likeness, the likest first, those from `least` to `most`."""
        asked = likeness_words(question)
        products: defaultdict[int, float] = defaultdict(float)
        for word in sorted(asked):  # in one order, so that sums are the same in each process
            for place in self._holders.get(word, ()):
                products[place] += self._weight(word) ** 2
        length = self._length(asked)
        alike = ((product / (length * self._lengths[place]), -place) for place, product in products.items())
        found = nlargest(limit, (each for each in alike if least <= each[0] <= most))
        return [(-place, likeness) for likeness, place in found]

    def _weight(self, word: str) -> float:
        return math.log(1 + (self._count + 1) / (len(self._holders.get(word, ())) + 0.5))

    def _length(self, words: Collection[str]) -> float:
        return math.sqrt(sum(self._weight(word) ** 2 for word in sorted(words)))
