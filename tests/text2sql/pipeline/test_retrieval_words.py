import pytest

from text2sql.pipeline.retrieval.compounds import Compounds
from text2sql.pipeline.retrieval.words import abbreviates, name_words, question_words, stem


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FCLT_BUILDING_KEY", ["fclt", "building", "key"]),
        ("customerOrderItem", ["customer", "order", "item"]),
        ("HTTPServerError", ["http", "server", "error"]),
        ("gas-stations 2", ["gas", "stations"]),
        ("Größe_cm", ["grosse", "cm"]),
        ("Café", ["cafe"]),
        ("łódź_Øre", ["lodz", "ore"]),
        ("ЗаказыКлиентов", ["заказыклиентов"]),
        ("订单金额", ["订单", "单金", "金额"]),
        ("ﬁle", ["file"]),
        ("__", []),
        ("", []),
    ],
)
def test_an_identifier_is_split_into_its_words(name: str, words: list[str]) -> None:
    assert name_words(name) == words


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [("cities", "city"), ("boxes", "box"), ("orders", "order"), ("status", "status"), ("address", "address"),
     ("addresses", "address"), ("bus", "bus"), ("ids", "ids"), ("basis", "basis")],
)  # fmt: skip
def test_a_plural_is_cut_and_nothing_else(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


def test_a_question_s_words_are_those_that_could_name_something() -> None:
    question = "List the mailing lists of user ccbbd0bdf0104ea68a37483b13b14be2 at 10.115.70.43/8 since 2023, per user."
    assert question_words(question) == ["mailing", "lists", "user", "since", "per"]


@pytest.mark.parametrize(
    ("term", "word"), [("bldg", "building"), ("dept", "department"), ("qty", "quantity"), ("amt", "amount")]
)
def test_an_abbreviation_is_known(term: str, word: str) -> None:
    assert abbreviates(term, word)


@pytest.mark.parametrize(("term", "word"), [("cat", "customer"), ("order", "orders"), ("rent", "department")])
def test_what_only_looks_like_an_abbreviation_is_none(term: str, word: str) -> None:
    assert not abbreviates(term, word)


def test_a_compound_is_taken_apart_by_words_that_stand_alone_elsewhere() -> None:
    compounds = Compounds(["floating", "ip", "ip", "ip", "security", "groups", "port", "portable"])
    assert compounds.parts("floatingips") == ["floating", "ips"]
    assert compounds.parts("securitygroupports") == ["security", "group", "ports"]
    assert compounds.parts("portable") == []
    assert compounds.parts("unheardof") == []
    assert compounds.parts("x" * 10_000) == []
