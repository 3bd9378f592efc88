"""What a table says of itself, as counted terms."""

from collections import Counter
from collections.abc import Sequence

from text2sql.pipeline.retrieval.compounds import Compounds
from text2sql.pipeline.retrieval.words import name_words, stem, text_words
from text2sql.pipeline.schema import Table

NAME_WEIGHT = 3
"""How often a table's name counts; columns, comments and samples count once."""


def documents(tables: Sequence[Table]) -> list[Counter[str]]:
    names = {name for table in tables for name in (table.name, *(column.name for column in table.columns))}
    compounds = Compounds(word for name in sorted(names) for word in name_words(name))
    return [_document(table, compounds) for table in tables]


def table_text(table: Table) -> str:
    """A table in words, for encoders."""
    columns = ", ".join(" ".join(name_words(column.name)) for column in table.columns)
    return f"{' '.join(name_words(table.name))}. {table.comment} {columns}"


def _document(table: Table, compounds: Compounds) -> Counter[str]:
    terms: Counter[str] = Counter()
    for term in _name_terms(table.name, compounds):
        terms[term] += NAME_WEIGHT
    terms.update(text_words(table.comment))
    for column in table.columns:
        terms.update(_name_terms(column.name, compounds))
        terms.update(text_words(column.comment))
        terms.update(text_words(" ".join(column.samples)))
    return terms


def _name_terms(name: str, compounds: Compounds) -> list[str]:
    words = name_words(name)
    return [stem(part) for word in words for part in (word, *compounds.parts(word))]
