"""Both SQLs run side by side: their rows, how they differ, and that nothing of them stays."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.messages import get_messages
from django.db import connection, connections

from feedback.models import Feedback
from feedback.services.comparison import Difference, rows_differ
from observability.models import AuditEntry
from tests.feedback.conftest import Desk
from text2sql.models import Database, DatabaseAccess, Execution
from text2sql.pipeline.comparison import gold_query
from text2sql.services.examples import example_publish
from text2sql.targets.run import QueryResult
from text2sql.targets.session import ResultColumn

ALL, NORTH = "SELECT id, name FROM customers", "SELECT id, name FROM customers WHERE region = 'north'"


def run_both(desk: Desk, feedback: Feedback) -> Any:
    return desk.client.post(desk.path("compare", feedback))


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode()).partition("<main")[2] or str(answer.content.decode())


def compared() -> list[Any]:
    return list(AuditEntry.objects.filter(verb="feedback.compared").values_list("data", flat=True))


def test_both_tables_and_the_rows_between_them_are_shown(desk: Desk) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    assert desk.path("compare", feedback) in desk.shown(feedback)
    answer = run_both(desk, feedback)
    shown = text(answer)
    sides = answer.context["sides"]
    assert [side["table"]["rows"] for side in sides] == [[["1", "Ada"], ["2", "Bert"]], [["1", "Ada"]]]
    difference = answer.context["difference"]
    only_answer, only_correction = difference["only"]
    assert (difference["same"], only_answer["table"]["rows"], only_correction["table"]["count"]) == (
        1,
        [["2", "Bert"]],
        0,
    )
    assert "Only as answered: 1 row" in shown
    assert "Only as corrected" not in shown
    assert "no-store" in answer.headers["Cache-Control"]


def test_looking_at_the_page_runs_nothing(desk: Desk) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    answer = desk.client.get(desk.path("compare", feedback))
    assert "Run both" in text(answer)
    assert [side["table"] for side in answer.context["sides"]] == [None, None]
    assert "Bert" not in text(answer)
    assert compared() == []


def test_it_is_audited_and_no_row_stays(desk: Desk) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    assert "Bert" in text(run_both(desk, feedback))
    entry = AuditEntry.objects.get(verb="feedback.compared")
    assert (entry.actor, entry.target, entry.scope) == ("user:alice", str(feedback.pk), "sales")
    assert entry.data == {"database": "shop", "answer": 2, "correction": 1}
    assert not Execution.objects.exists()
    for model in apps.get_models():
        assert "Bert" not in repr(list(model._default_manager.values())), model


def test_the_rows_are_those_that_the_team_may_see(desk: Desk) -> None:
    DatabaseAccess.objects.update(row_filters={"customers": "region = 'south'"})
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    answer = run_both(desk, feedback)
    assert [side["table"]["rows"] for side in answer.context["sides"]] == [[["2", "Bert"]], []]
    assert "Ada" not in text(answer)


def test_if_one_fails_its_problem_stands_beside_the_others_rows(desk: Desk) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql="DELETE FROM customers")
    answer = run_both(desk, feedback)
    shown = text(answer)
    ours, theirs = answer.context["sides"]
    assert ours["table"]["count"] == 2
    assert (theirs["table"], theirs["problem"].kind) == (None, "sql-refused")
    assert "The generated SQL was not allowed" in shown
    assert answer.context["difference"] is None
    assert compared() == [{"database": "shop", "answer": 2, "correction": "sql-refused"}]


def test_a_target_that_is_down_is_told_on_both_sides(desk: Desk, shop: Path) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    shop.unlink()
    answer = run_both(desk, feedback)
    assert [side["problem"].kind for side in answer.context["sides"]] == ["target-unreachable"] * 2
    assert compared() == [{"database": "shop", "answer": "target-unreachable", "correction": "target-unreachable"}]


def test_a_database_that_the_team_has_lost_is_not_asked(desk: Desk) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    DatabaseAccess.objects.all().delete()
    answer = run_both(desk, feedback)
    assert (answer.status_code, answer.url) == (302, desk.path("change", feedback))
    assert "There is no such database" in " ".join(str(message) for message in get_messages(answer.wsgi_request))
    assert compared() == []


def test_without_a_correction_there_is_nothing_to_run_until_a_lead_gives_one(desk: Desk) -> None:
    feedback = desk.feedback(generation=desk.generation(sql=ALL))
    assert desk.path("compare", feedback) not in desk.shown(feedback)
    assert "There are not two SQLs to run" in text(run_both(desk, feedback))
    assert compared() == []
    desk.act("correct", feedback, sql=NORTH)
    assert run_both(desk, feedback).context["difference"]["same"] == 1


def test_the_databases_row_limit_holds_and_is_told(desk: Desk) -> None:
    Database.objects.update(row_cap=1)
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    shown = text(run_both(desk, feedback))
    assert "Bert" not in shown
    assert "limit lets through" in shown
    assert "Not all rows were read" in shown


def test_no_more_than_200_rows_are_shown_of_each_table(desk: Desk, shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as target:
        target.executemany("INSERT INTO customers (name) VALUES (?)", [(f"c{n}",) for n in range(300)])
        target.commit()
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    answer = run_both(desk, feedback)
    table = answer.context["sides"][0]["table"]
    assert (len(table["rows"]), table["count"], table["hidden"]) == (200, 302, 102)
    only = answer.context["difference"]["only"][0]["table"]
    assert (len(only["rows"]), only["count"]) == (200, 301)
    assert text(answer).count("are not shown") == 2


def test_what_stands_in_a_cell_is_text_and_not_markup(desk: Desk) -> None:
    sql = "SELECT '<b id=evil>' AS a, NULL AS b, name FROM customers"
    feedback = desk.feedback(generation=desk.generation(sql=sql), corrected_sql=NORTH)
    shown = text(run_both(desk, feedback))
    assert "<b id=evil>" not in shown
    assert "&lt;b id=evil&gt;" in shown
    assert "NULL</i>" in shown


def test_no_connection_is_held_while_the_target_runs(desk: Desk, shop: Path) -> None:
    """The target's file is locked, so that the statement waits; of the product's pool every connection is free."""
    feedback = desk.feedback(generation=desk.generation(sql=ALL), corrected_sql=NORTH)
    path = desk.path("compare", feedback)
    pool = connection.pool  # type: ignore[attr-defined]  # PostgreSQL's backend has one
    assert pool is not None
    with closing(sqlite3.connect(shop, isolation_level=None)) as lock, ThreadPoolExecutor(1) as thread:
        lock.execute("BEGIN EXCLUSIVE")
        connection.close()
        running = thread.submit(desk.client.post, path)
        waited = []
        for _ in range(20):
            time.sleep(0.05)
            waited.append(busy(pool))
        assert not running.done()
        lock.execute("ROLLBACK")
        answer = running.result(timeout=60)
        thread.submit(connections.close_all).result()  # the thread's own
    assert waited[-10:] == [0] * 10
    assert answer.context["difference"]["same"] == 1


def busy(pool: Any) -> int:
    told = pool.get_stats()
    return int(told["pool_size"] - told["pool_available"])


def result(names: str, *rows: list[Any], truncated: bool = False) -> QueryResult:
    return QueryResult(tuple(ResultColumn(name, "") for name in names.split()), list(rows), truncated, 1)


def differ(answer: QueryResult, correction: QueryResult, sql: str = "SELECT 1") -> Difference:
    return rows_differ(answer, correction, gold_query(sql, dialect="sqlite"))


def test_rows_are_counted_and_their_order_is_not() -> None:
    found = differ(result("a b", [1, "x"], [1, "x"], [2, "y"]), result("a b", [2, "y"], [1, "x"], [3, "z"]))
    assert (found.same, found.only_answer, found.only_correction) == (2, [[1, "x"]], [[3, "z"]])
    assert differ(result("a", [1], [2]), result("a", [2], [1])).is_none


def test_values_that_are_only_written_otherwise_are_the_same() -> None:
    ours = result("a b c", [1, "2026-01-01", 0.1 + 0.2], [None, "x ", 2])
    theirs = result("a b c", [True, "2026-01-01T00:00:00", 0.3], [None, "x", "2.0"])
    assert differ(ours, theirs).is_none
    assert not differ(result("a", [None]), result("a", [0])).is_none


def test_columns_are_paired_by_name_else_by_place() -> None:
    assert differ(result("a b", [1, 2]), result("B A", [2, 1])).is_none
    assert differ(result("total", [7]), result("sum", [7])).is_none
    wider = differ(result("name n", ["x", 1]), result("id name", [9, "x"], [8, "y"]))
    assert wider.columns == (("name", "id"), ("n", "name"))
    some = differ(result("name", ["x"]), result("id name", [9, "x"], [8, "y"]))
    assert (some.columns, some.same, some.only_correction) == ((("name", "name"),), 1, [[8, "y"]])


def test_results_without_a_common_column_differ_in_every_row() -> None:
    found = differ(result("a", [1]), result("b c", [1, 2]))
    assert (found.columns, found.same, found.only_answer, found.only_correction) == ((), 0, [[1]], [[1, 2]])
    assert not found.is_none


def test_the_order_counts_where_the_correction_sorts_and_among_ties_it_does_not() -> None:
    up, down = result("a b", [1, "x"], [2, "y"]), result("a b", [2, "y"], [1, "x"])
    assert differ(up, down, "SELECT a, b FROM t ORDER BY a DESC").is_reordered
    assert not differ(up, down, "SELECT a, b FROM t").is_reordered
    assert differ(down, down, "SELECT a, b FROM t ORDER BY a DESC").is_none
    tied, other = result("a b", [1, "x"], [1, "y"]), result("a b", [1, "y"], [1, "x"])
    assert differ(tied, other, "SELECT a, b FROM t ORDER BY a").is_none


def test_an_example_that_a_lead_gave_is_what_the_answer_is_compared_with(desk: Desk) -> None:
    example = example_publish(
        access=DatabaseAccess.objects.get(), question="x", sql=NORTH, tables=[], generation=None, actor="x"
    )
    feedback = desk.feedback(generation=desk.generation(sql=ALL), example=example)
    assert run_both(desk, feedback).context["sides"][1]["sql"] == NORTH
