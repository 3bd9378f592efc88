"""Words written together in identifiers, taken apart by the words that the same catalog writes alone."""

from collections import Counter
from collections.abc import Iterable

SHORTEST_COMPOUND = 7
SHORTEST_PART = 2
COMMON = 3
"""How often a word of two letters must stand alone to be taken for a part."""
LONGEST = 60
"""Letters; what is longer is no identifier that a person made up."""


class Compounds:
    def __init__(self, words: Iterable[str]) -> None:
        counts = Counter(words)
        self._known = {word for word, count in counts.items() if len(word) > SHORTEST_PART or count >= COMMON}
        self._parts: dict[str, list[str]] = {}

    def parts(self, word: str) -> list[str]:
        """`floatingips` → floating, ips where both are known; nothing where the word is no compound."""
        if not SHORTEST_COMPOUND <= len(word) <= LONGEST:
            return []
        if word not in self._parts:
            self._parts[word] = self._split(word)
        return self._parts[word]

    def _split(self, word: str) -> list[str]:
        # The fewest parts up to each letter; of two ways with as many, the one found first.
        best: list[list[str] | None] = [[]] + [None] * len(word)
        for start in range(len(word) - SHORTEST_PART + 1):
            before = best[start]
            if before is None:
                continue
            for end in range(start + SHORTEST_PART, len(word) + 1):
                part, there = word[start:end], best[end]
                if part != word and self._knows(part) and (there is None or len(before) + 1 < len(there)):
                    best[end] = [*before, part]
        return best[-1] or []

    def _knows(self, part: str) -> bool:
        return part in self._known or part + "s" in self._known or (part[-1] == "s" and part[:-1] in self._known)
