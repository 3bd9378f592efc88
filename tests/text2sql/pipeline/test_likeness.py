"""How like two questions are, by their words."""

import math
import subprocess
import sys
from itertools import pairwise

import pytest

from text2sql.pipeline.retrieval import NEAR, SAME, Likeness, likeness_words

QUESTIONS = [
    "How many customers do we have?",
    "Which customers paid the most invoices last year?",
    "How many orders were placed in Berlin?",
    "What is the average salary by department?",
    "Who are the suppliers of steel?",
]


def likeness_of(*questions: str) -> Likeness:
    return Likeness([likeness_words(question) for question in questions])


def likenesses(asked: str, *questions: str) -> dict[int, float]:
    return dict(likeness_of(*questions).rank(asked, limit=len(questions)))


@pytest.mark.parametrize("place", range(len(QUESTIONS)))
def test_a_question_is_likest_itself(place: int) -> None:
    (first, likeness), *_ = likeness_of(*QUESTIONS).rank(QUESTIONS[place], limit=5)
    assert first == place
    assert likeness == pytest.approx(1)
    assert likeness >= SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Average salary by department", "What is the average salary by department?"),
        ("department, by average SALARY!", "What is the average salary by department?"),
        ("Average salaries by departments", "What is the average salary by department?"),
        ("Who are the supplier of steel", "Who are the suppliers of steel?"),
        ("Quels élèves?", "quels eleves"),
    ],
)
def test_order_case_plurals_accents_and_small_words_make_no_difference(one: str, other: str) -> None:
    ((_, likeness),) = likeness_of(other).rank(one, limit=1)
    assert likeness >= SAME


def test_the_likest_comes_first_and_strangers_do_not_come() -> None:
    found = likenesses("How many orders were placed in Paris?", *QUESTIONS)
    assert next(iter(found)) == 2
    assert 3 not in found
    assert 4 not in found
    assert all(one >= other for one, other in pairwise(found.values()))
    assert all(0 < likeness <= 1 + 1e-12 for likeness in found.values())


def test_the_same_question_about_something_else_is_near_but_not_the_same() -> None:
    asked = "How many orders were placed in Paris by customers?"
    other = "How many orders were placed in Paris by suppliers?"
    found = likenesses(asked, other, *QUESTIONS)
    assert found[0] < SAME
    assert likenesses("Total revenue of all orders in Berlin", "Total revenue of orders in Berlin")[0] > NEAR


def test_a_rare_word_counts_for_more_than_a_usual_one() -> None:
    usual = [f"customers and {word}" for word in ("towns", "trees", "boats", "roads", "hills", "ports")]
    found = likenesses("customers with zebras", *usual, "zebras in cages")
    assert next(iter(found)) == len(usual)


def test_a_word_nobody_asked_before_makes_a_question_less_like_others() -> None:
    one = likenesses("suppliers of steel", *QUESTIONS)[4]
    other = likenesses("suppliers of steel and zirconium", *QUESTIONS)[4]
    assert other < one


def test_only_what_lies_between_the_bounds_is_found() -> None:
    likeness = likeness_of(*QUESTIONS)
    asked = QUESTIONS[1]
    whole = likeness.rank(asked, limit=5)
    assert len(whole) > 1
    assert likeness.rank(asked, limit=5, most=SAME) == whole[1:]
    assert likeness.rank(asked, limit=5, least=SAME) == whole[:1]
    assert likeness.rank(asked, limit=1) == whole[:1]
    second = whole[1][1]
    assert likeness.rank(asked, limit=5, least=second)[:2] == whole[:2]
    assert likeness.rank(asked, limit=5, least=math.nextafter(second, 2)) == whole[:1]


def test_of_equally_like_ones_the_earlier_comes_first() -> None:
    likeness = likeness_of("steel suppliers", "suppliers, steel", "the supplier of steel")
    assert [place for place, _ in likeness.rank("Suppliers of steel?", limit=3)] == [0, 1, 2]
    assert [place for place, _ in likeness.rank("Suppliers of steel?", limit=2)] == [0, 1]


@pytest.mark.parametrize("asked", ["", "?", "How many are there?", "2024", "🙂", "zebras"])
def test_a_question_without_a_known_word_is_like_none(asked: str) -> None:
    assert likeness_of(*QUESTIONS, "", "How many are there?").rank(asked, limit=9) == []


def test_nothing_is_like_anything_where_there_is_nothing() -> None:
    assert Likeness([]).rank("How many customers?", limit=3) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("東京の売上は", "東京の売上"), ("Сколько клиентов?", "сколько КЛИЕНТОВ"), ("รายได้รวม", "รายได้รวม")],
)
def test_other_scripts_are_compared_too(one: str, other: str) -> None:
    found = likenesses(one, other, *QUESTIONS)
    assert found[0] > NEAR


def test_likenesses_are_the_same_in_every_process() -> None:
    asked = "Which customers placed the most orders in Berlin, by department and average salary?"
    script = (
        "from text2sql.pipeline.retrieval import Likeness, likeness_words\n"
        f"print(Likeness([likeness_words(q) for q in {QUESTIONS!r}]).rank({asked!r}, limit=5))"
    )
    told = {
        subprocess.run(  # noqa: S603  # our own words
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert told == {f"{likeness_of(*QUESTIONS).rank(asked, limit=5)}\n"}
