import json
import random

import pytest

from text2sql.pipeline.comparison import (
    Comparison,
    Gold,
    ResultSet,
    gold_query,
    golds_accepted,
    order_asked,
    results_compare,
)


def result(*rows: tuple[object, ...], types: tuple[str, ...] = (), truncated: bool = False) -> ResultSet:
    width = len(rows[0]) if rows else len(types)
    return ResultSet(types or ("",) * width, rows, truncated)


def compare(gold: ResultSet, answer: ResultSet) -> Comparison:
    return results_compare(Gold(gold), answer, is_ordered=False)


def same(gold: object, answer: object, types: tuple[str, str] = ("", "")) -> bool:
    return compare(result((gold,), types=types[:1]), result((answer,), types=types[1:])).is_same


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (1, 1.0), (1, "1.00"), (0.1 + 0.2, 0.3), ("4.6666666666666667", 4.666666666666667), (True, 1), (0, False),
        (None, None), ("CA", "CA   "), ("2026-01-01", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T10:00:00", "2026-01-01 10:00:00.000"), ("2026-01-01T10:00:00+02:00", "2026-01-01 10:00"),
        (0, 1e-12), ([1, 2], [1, 2]), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (2.345, 2.35), (0.6667, 2 / 3),
        (2**80, 2**80),
    ],
)  # fmt: skip
def test_values_that_are_written_otherwise_are_the_same(gold: object, answer: object) -> None:
    kinds = "numeric" if isinstance(gold, str) and gold[0] == "4" else "", "numeric" if answer == "1.00" else ""
    assert same(gold, answer, kinds)
    assert same(answer, gold, kinds[::-1])


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (1, 2), (1_000_000_001, 1_000_000_002), (1, 1.001), ("a", "b"), ("a", "A"), (None, 0), (None, ""), ("007", 7),
        ("1.10", "1.1"), ("2026-01-01", "2026-01-02"), ("2026-01-01 10:00", "2026-01-01 11:00"), (0.031, 0.03),
        (12.34, 12.35), (1234.5, 1200), ([1, 2], [2, 1]), ("NaN", 0), (0, 0.001), (2**80, 2**80 + 1),
    ],
)  # fmt: skip
def test_other_values_are_different(gold: object, answer: object) -> None:
    assert not same(gold, answer)
    assert not same(answer, gold)


def test_names_and_order_of_columns_and_further_columns_do_not_matter() -> None:
    gold = result(("Ada", 3), ("Bert", 5))
    assert compare(gold, result((5, "x", "Bert"), (3, "y", "Ada"))).is_same


def test_each_column_needs_one_of_its_own() -> None:
    compared = compare(result((1, 1)), result((1, 2)))
    assert not compared.is_same
    assert not compare(result((1, 1)), result((1,))).is_same


def test_the_right_values_in_other_rows_are_different() -> None:
    compared = compare(result((1, "a"), (2, "b")), result((1, "b"), (2, "a")))
    assert not compared.is_same
    assert "other rows" in compared.why


def test_the_expected_column_that_is_missing_is_named() -> None:
    assert "column 2" in compare(result((1, "a")), result((1, "b"))).why


def test_duplicates_count() -> None:
    assert not compare(result((1,), (1,), (2,)), result((1,), (2,), (2,))).is_same
    assert not compare(result((1,), (1,)), result((1,))).is_same


def test_columns_of_equal_values_are_paired_by_their_rows() -> None:
    rows = [(place & 1, place >> 1 & 1, place >> 2 & 1, place >> 3 & 1) for place in range(16)]
    assert compare(result(*rows), result(*((d, b, a, c) for a, b, c, d in reversed(rows)))).is_same
    assert not compare(result(*rows[:-1], (0, 1, 1, 1)), result(*((d, b, a, c) for a, b, c, d in rows))).is_same


def test_float_noise_does_not_tear_equal_rows_apart() -> None:
    noisy = 0.1 + 0.2
    assert compare(result((0.3, "a"), (noisy, "b")), result((noisy, "a"), (0.3, "b"))).is_same


def test_two_empty_results_are_the_same_and_weak() -> None:
    compared = compare(result(types=("int",)), result(types=("text",)))
    assert compared.is_same
    assert compared.is_weak
    assert not compare(result(types=("int",)), result((1,))).is_same
    assert compare(result((None,)), result((None,))).is_weak
    assert not compare(result((1,)), result((1,))).is_weak


def test_a_result_that_was_cut_off_is_never_the_same() -> None:
    rows = [(number,) for number in range(10)]
    whole, cut = result(*rows), result(*rows, truncated=True)
    assert not compare(whole, cut).is_same
    assert compare(whole, cut).is_decided
    assert not compare(cut, whole).is_same
    assert not compare(cut, cut).is_same
    assert not compare(cut, cut).is_decided


def read(sql: str, *rows: tuple[object, ...], dialect: str = "postgres", truncated: bool = False) -> Gold:
    return gold_query(sql, dialect=dialect).read(result(*rows, truncated=truncated))


def test_order_counts_only_where_the_question_asks_and_gold_sorts() -> None:
    gold = read("SELECT a FROM t ORDER BY a", (1,), (2,), (3,))
    turned = result((3,), (2,), (1,))
    assert results_compare(gold, turned, is_ordered=False).is_same
    compared = results_compare(gold, turned, is_ordered=True)
    assert not compared.is_same
    assert "order" in compared.why
    assert results_compare(read("SELECT a FROM t", (1,), (2,), (3,)), turned, is_ordered=True).is_same


def test_rows_of_equal_sort_keys_come_in_any_order() -> None:
    gold = read("SELECT name FROM t ORDER BY points", ("a", 1), ("b", 2), ("c", 2), ("d", 3))
    assert results_compare(gold, result(("a",), ("c",), ("b",), ("d",)), is_ordered=True).is_same
    assert not results_compare(gold, result(("b",), ("a",), ("c",), ("d",)), is_ordered=True).is_same


def test_any_of_the_rows_tied_at_the_limit_may_be_there_or_all_of_them() -> None:
    gold = read("SELECT name FROM t ORDER BY points DESC LIMIT 2", ("a", 9), ("b", 7), ("c", 7), ("d", 5))
    for names, is_same in (("ab", True), ("ac", True), ("abc", True), ("bc", False), ("ad", False), ("abcd", False),
                           ("a", False), ("aa", False)):  # fmt: skip
        answer = result(*((name,) for name in names))
        assert results_compare(gold, answer, is_ordered=False).is_same == is_same, names
    assert not results_compare(gold, result(("c",), ("a",)), is_ordered=True).is_same


def test_of_an_unsorted_limit_any_rows_may_be_there_but_not_more() -> None:
    gold = read("SELECT name FROM t LIMIT 2", ("a",), ("b",), ("c",))
    assert results_compare(gold, result(("c",), ("a",)), is_ordered=False).is_same
    assert not results_compare(gold, result(("a",), ("b",), ("c",)), is_ordered=False).is_same


def test_ties_beyond_what_was_read_leave_it_undecided() -> None:
    gold = read("SELECT name FROM t LIMIT 2", ("a",), ("b",), ("c",), truncated=True)
    assert not results_compare(gold, result(("x",), ("y",)), is_ordered=False).is_decided


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a"),
        ("SELECT a FROM t ORDER BY b", "SELECT a, b AS sort_key_0 FROM t ORDER BY b"),
        ("SELECT a FROM t ORDER BY 1 LIMIT 3", "SELECT a FROM t ORDER BY 1 LIMIT 1003"),
        ("SELECT * FROM t ORDER BY b", "SELECT *, b AS sort_key_0 FROM t ORDER BY b"),
        ("SELECT x + 1 AS y FROM t ORDER BY y", "SELECT x + 1 AS y FROM t ORDER BY y"),
        (
            "SELECT a FROM t GROUP BY a ORDER BY COUNT(*) DESC LIMIT 1",
            "SELECT a, COUNT(*) AS sort_key_0 FROM t GROUP BY a ORDER BY COUNT(*) DESC LIMIT 1001",
        ),
        ("SELECT DISTINCT a FROM t ORDER BY a", "SELECT DISTINCT a FROM t ORDER BY a"),
        ("SELECT a FROM t UNION SELECT b FROM u ORDER BY a", "SELECT a FROM t UNION SELECT b FROM u ORDER BY a"),
        ("SELECT a FROM t ORDER BY a LIMIT 3 OFFSET 2", "SELECT a FROM t ORDER BY a LIMIT 3 OFFSET 2"),
        (
            "SELECT a FROM (SELECT a FROM u ORDER BY b LIMIT 3) t",
            "SELECT a FROM (SELECT a FROM u ORDER BY b LIMIT 3) t",
        ),
    ],
)
def test_a_verified_query_is_run_with_its_sort_keys_and_beyond_its_limit(sql: str, expected: str) -> None:
    assert gold_query(sql, dialect="postgres").sql == expected


def test_added_sort_keys_are_not_expected_in_the_answer() -> None:
    gold = read("SELECT name FROM t ORDER BY points", ("a", 1), ("b", 2))
    assert gold.result.rows == [("a",), ("b",)]
    assert gold.keys == [(1,), (2,)]


@pytest.mark.parametrize(
    "question",
    [
        "List the restaurants starting from the best ratings to the lowest",
        "Total students in each course, ordered from highest to lowest?",
        "Sort by the number of papers", "Give them in alphabetical order", "names ordered alphabetically",
        "highest average rating first", "Order the results by name", "in descending order of revenue",
    ],
)  # fmt: skip
def test_a_question_that_wants_an_order_is_known(question: str) -> None:
    assert order_asked(question)


@pytest.mark.parametrize(
    "question",
    ["How many orders are there?", "What are the top 5 cities?", "Revenue of each order", "Which order is the largest?",
     "What must a customer do in order to pay?", "Which flights go from LAX to ORD?"],
)  # fmt: skip
def test_a_question_about_orders_wants_none(question: str) -> None:
    assert not order_asked(question)


def test_accepted_queries_and_choices_of_columns_are_written_out() -> None:
    assert golds_accepted("SELECT {a.x, a.y}, count(*) FROM a GROUP BY {}; SELECT 1;") == [
        "SELECT a.x, count(*) FROM a GROUP BY a.x",
        "SELECT a.y, count(*) FROM a GROUP BY a.y",
        "SELECT a.x, a.y, count(*) FROM a GROUP BY a.x, a.y",
        "SELECT 1",
    ]


@pytest.mark.parametrize("sql", ["SELECT '{a,b}' FROM t", "SELECT ';' AS x", "SELECT {'k': 1}", 'SELECT "a;b" FROM t'])
def test_braces_and_semicolons_that_mean_something_else_are_left_alone(sql: str) -> None:
    assert golds_accepted(sql) == [sql]


def test_ten_thousand_rows_of_ten_columns_are_paired_in_a_shuffle() -> None:
    dice = random.Random(1)
    rows = [
        (
            n,
            f"name {n}",
            dice.random(),
            n % 7,
            n % 2 == 0,
            str(n * 3),
            None,
            dice.randint(0, 99),
            n // 2,
            round(n / 7, 2),
        )
        for n in range(10_000)
    ]
    shuffled = [row[::-1] for row in dice.sample(rows, len(rows))]
    assert compare(result(*rows), result(*shuffled)).is_same
    place = shuffled.index(rows[5_000][::-1])
    shuffled[place] = (*shuffled[place][:2], 98765, *shuffled[place][3:])
    assert not compare(result(*rows), result(*shuffled)).is_same


def test_hopeless_pairings_end_undecided() -> None:
    dice = random.Random(3)
    rows = [tuple(dice.randint(0, 1) for _ in range(60)) for _ in range(40)]
    columns = [dice.sample(column, len(column)) for column in zip(*rows, strict=True)]
    compared = compare(result(*rows), result(*zip(*columns, strict=True)))
    assert not compared.is_same
    assert json.dumps(compared.why)
