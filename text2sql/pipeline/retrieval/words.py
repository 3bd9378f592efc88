"""Identifiers, comments and questions as comparable words: lower case, without accents, endings of plurals cut.

The stemmer is this short on purpose: on real schemas it finds as much as Snowball's English one, and it leaves words of
other languages alone. Scripts without spaces between words are compared by pairs of characters.
"""

import re
import unicodedata
from functools import lru_cache

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_CHUNK = re.compile(r"\w+(?:[-.:/@]\w+)*")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Letters that Unicode does not take apart, as those write them who have no key for them.
_LETTERS = str.maketrans({
    "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "\u0131": "i",
})  # fmt: skip
_VALUE_LENGTH = 12
_VOWELS = frozenset("aeiou")

_STOP_WORDS = """
a all an and are as at be been by can did do does each find for from get give had has have how i in is it its many me
more much of on or our please show tell than that the their them there these they this those to was we were what when
where which who whose why will with you
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_COMMANDS = "compute count display group identify list name provide return retrieve select state"
COMMANDS = frozenset(_COMMANDS.split())


def name_words(name: str) -> list[str]:
    """The words of an identifier: `FCLTBuildingKey2`, `fclt_building_key_2` → fclt, building, key."""
    words: list[str] = []
    for part in _PART.findall(_folded(name)):
        words += _pairs(part) if _UNSPACED.fullmatch(part) else [part.lower()]
    return words


def text_words(text: str) -> list[str]:
    """The words of prose, stemmed, without stop words."""
    return [stem(word) for word in name_words(text) if word not in STOP_WORDS]


def question_words(question: str) -> list[str]:
    """The words of a question, each once, not stemmed. Ids, addresses and numbers in it name no table."""
    chunks = (chunk for chunk in _CHUNK.findall(question) if not _is_value(chunk))
    words = [word for chunk in chunks for word in name_words(chunk)]
    # "List the mailing lists": the first is what is to be done, the second what it is about.
    kept = (word for at, word in enumerate(words) if word not in STOP_WORDS and (at or word not in COMMANDS))
    return list(dict.fromkeys(kept))


@lru_cache(maxsize=32_768)
def stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def is_short(term: str) -> bool:
    """Whether it may be a word with letters left out."""
    return 3 <= len(term) <= 5 and term.isalpha() and term[-1] not in _VOWELS


def abbreviates(term: str, word: str) -> bool:
    """Whether a term is a start of a word and then consonants of it in order: `dept`, department; `bldg`, building."""
    if len(term) >= len(word) - 1 or term[0] != word[0] or term[-1] not in word[len(word) // 2 :]:
        return False
    shared = next((at for at, (one, other) in enumerate(zip(term, word, strict=False)) if one != other), len(term))
    letters = iter(word[shared:])
    return all(letter not in _VOWELS and letter in letters for letter in term[shared:])


def _folded(text: str) -> str:
    # Only accents of the common range: the marks of kana and Hangul are part of their letters.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text))).translate(_LETTERS)


def _is_value(chunk: str) -> bool:
    digits = sum(letter.isdigit() for letter in chunk)
    return digits > 0 and (len(chunk) >= _VALUE_LENGTH or chunk[0].isdigit() or len(re.findall(r"\d+", chunk)) > 2)


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]
