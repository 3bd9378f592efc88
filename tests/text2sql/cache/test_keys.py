from typing import Any

import pytest

from text2sql.cache.keys import cache_key, question_normalize

PARTS: dict[str, Any] = {
    "question": "How many orders?",
    "database_id": "0b7a3a52-6a0e-4c55-9f0e-5b9c6f4f9d11",
    "schema_version": "0123456789abcdef",
    "view_version": "fedcba9876543210",
    "dialect": "postgres",
    "prompt_version": "3",
    "model": "claude-sonnet-5-5",
}


@pytest.mark.parametrize(
    "text",
    [
        "how many orders in são paulo",
        "How many orders in São Paulo?",
        "  HOW  MANY\torders\nin SÃO PAULO ?! ",
        "How many orders in Sa\u0303o Paulo…",
        "How many\u00a0orders in São Paulo\uff1f",
        "\uff28\uff4f\uff57 many orders in São Paulo.",
    ],
)
def test_spellings_of_one_question_are_one(text: str) -> None:
    assert question_normalize(text) == "how many orders in são paulo"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("growth above 50%", "growth above 50"),
        ("orders of 1.5 kg", "orders of 15 kg"),
        ("is it 'A.'", "is it 'A"),
        ("resume", "résumé"),
        ("new york", "newyork"),
    ],
)
def test_different_questions_stay_different(one: str, other: str) -> None:
    assert question_normalize(one) != question_normalize(other)


@pytest.mark.parametrize("text", ["Straße", "ΜΆΪΟΣ", "ﬁnal İstanbul?", "東京の売上。", "x ? . y ? ."])
def test_a_normalised_question_stays_as_it_is(text: str) -> None:
    once = question_normalize(text)

    assert question_normalize(once) == once


def test_a_key_is_the_same_in_every_process_and_release() -> None:
    assert cache_key(**PARTS) == "f2029a7d42b197b9c04171f84598ab4e4ca805a92c89f38e4e1403e15688edae"
    assert cache_key(**PARTS | {"question": " how  many ORDERS "}) == cache_key(**PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_changes_the_key(part: str) -> None:
    assert cache_key(**PARTS | {part: PARTS[part] + " x"}) != cache_key(**PARTS)


def test_text_moved_from_one_part_to_the_next_changes_the_key() -> None:
    one = cache_key(**PARTS | {"dialect": 'a", "b', "prompt_version": "c"})
    other = cache_key(**PARTS | {"dialect": "a", "prompt_version": 'b", "c'})

    assert one != other


def test_a_question_that_is_no_valid_unicode_has_a_key() -> None:
    assert len(cache_key(**PARTS | {"question": "broken \ud83d"})) == 64


def test_without_examples_and_with_nothing_forgotten_the_key_is_the_one_it_was() -> None:
    assert cache_key(**PARTS, examples=(), answers_number=0) == cache_key(**PARTS)
    talked = cache_key(**PARTS, conversation=["How many?", "SELECT 1"], glossary="Revenue is net.")
    assert talked == "aa807dc5df20f534d2537875bd24432540e1279a1d073c1d63f9d38def844b1f"
    assert (
        cache_key(
            **PARTS, conversation=["How many?", "SELECT 1"], glossary="Revenue is net.", examples=(), answers_number=0
        )
        == talked
    )


EXAMPLES = [("How many customers?", "SELECT count(*) FROM customers"), ("Who?", "SELECT name FROM customers")]


@pytest.mark.parametrize(
    "shown",
    [
        EXAMPLES[:1],
        EXAMPLES[1:],
        EXAMPLES,
        EXAMPLES[::-1],
        [(EXAMPLES[0][0], EXAMPLES[1][1])],
        [(EXAMPLES[0][0] + "x", EXAMPLES[0][1])],
        [("", "")],
    ],
)
def test_every_example_shown_changes_the_key(shown: list[tuple[str, str]]) -> None:
    others = [[], *(each for each in ALL_SHOWN if each != shown)]
    key = cache_key(**PARTS, examples=shown)
    assert key not in {cache_key(**PARTS, examples=other) for other in others}
    assert key == cache_key(**PARTS, examples=tuple(shown))


ALL_SHOWN = [EXAMPLES[:1], EXAMPLES[1:], EXAMPLES, EXAMPLES[::-1]]


def test_each_time_that_answers_are_forgotten_the_key_is_another() -> None:
    keys = [cache_key(**PARTS, answers_number=number) for number in range(5)]
    keys += [cache_key(**PARTS, examples=EXAMPLES, answers_number=number) for number in range(5)]
    assert len(set(keys)) == len(keys)


def test_another_clock_has_another_today() -> None:
    assert cache_key(**PARTS, clock="UTC") == cache_key(**PARTS)
    keys = {cache_key(**PARTS, clock=clock) for clock in ("UTC", "Europe/Berlin", "Asia/Tokyo")}
    assert len(keys) == 3


def test_what_examples_say_cannot_be_taken_for_another_part() -> None:
    one = cache_key(**PARTS, examples=[("a", "b"), ("c", "d")])
    assert one != cache_key(**PARTS, examples=[("a", "b")], conversation=["c", "d"])
    assert one != cache_key(**PARTS, examples=[("a", 'b"], ["c'), ("", "d")])
    forged = '{"examples": [["a", "b"]], "answers_number": 0}'
    assert cache_key(**PARTS, examples=[("a", "b")]) != cache_key(**PARTS, conversation=[forged])


def test_where_today_is_another_day_the_key_is_another() -> None:
    zones = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
    keys = [cache_key(**PARTS, clock=zone) for zone in zones]
    keys += [cache_key(**PARTS, clock=zone, examples=EXAMPLES) for zone in zones]
    assert len(set(keys)) == len(keys)
    assert keys[0] == cache_key(**PARTS)
