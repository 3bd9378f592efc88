"""Ranking tables for a question: what pulls a table up, and that the same question gets the same answer anywhere."""

import random
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.benchmarks.catalogs import catalog_make, question_make
from text2sql.pipeline.retrieval import Example, Index
from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table


def make_table(name: str, *columns: str, schema: str | None = None, comment: str = "", refers_to: str = "") -> Table:
    keys = (ForeignKey((f"{refers_to}_ref",), refers_to, ("id",)),) if refers_to else ()
    own = (*columns, f"{refers_to}_ref") if refers_to else columns
    return Table(name, tuple(Column(c, "text") for c in own), schema=schema, comment=comment, foreign_keys=keys)


def make_index(*tables: Table, examples: tuple[Example, ...] = ()) -> Index:
    return Index.build(Schema("postgres", tables), examples)


def test_the_table_named_in_the_question_comes_first() -> None:
    index = make_index(make_table("orders", "amount"), make_table("customers", "name"), make_table("suppliers", "name"))
    assert index.rank("Who is our best customer?", 1) == ["customers"]


def test_names_have_their_schema_and_the_best_table_s_schema_is_preferred() -> None:
    index = make_index(
        make_table("users", "name", schema="crm"),
        make_table("invoices", "amount", schema="billing"),
        make_table("users", "name", schema="billing"),
    )
    assert index.rank("invoices of users", 3) == ["billing.invoices", "billing.users", "crm.users"]


def test_a_column_a_comment_and_a_sample_find_their_table() -> None:
    shipped = Table("t3", (Column("kind", "text", samples=("refrigerated",)),))
    index = make_index(make_table("t1", "vat_rate"), make_table("t2", "x", comment="Complaints of guests"), shipped)
    assert index.rank("Which VAT applies?", 1) == ["t1"]
    assert index.rank("How many complaints came in?", 1) == ["t2"]
    assert index.rank("all refrigerated ones", 1) == ["t3"]


@pytest.mark.parametrize("name", ["SecurityGroupBinding", "securitygroupbindings", "SECURITY_GROUP_BINDING"])
def test_a_name_is_found_however_it_is_put_together(name: str) -> None:
    others = (make_table("security", "group", "binding"), make_table("weather", "rain"))
    assert name in make_index(make_table(name, "id"), *others).rank("bindings of security groups", 2)


@pytest.mark.parametrize("column", ["dept", "department", "DeptName"])
def test_a_word_finds_its_abbreviation(column: str) -> None:
    index = make_index(make_table("a", "weight"), make_table("b", column), make_table("c", "height"))
    assert index.rank("Which department is the largest?", 1) == ["b"]


def test_a_word_written_out_counts_more_than_its_abbreviation() -> None:
    index = make_index(make_table("a", "org"), make_table("b", "organization"))
    assert index.rank("organization", 2) == ["b", "a"]


def test_ids_and_addresses_in_a_question_name_no_table() -> None:
    index = make_index(make_table("ports", "host"), make_table("e", "c", "d", "cd", "bd"))
    assert index.rank("ports of 61389439-cf52-4c-bd-08f0f24f644e at 10.77.55.40/8", 1) == ["ports"]


def test_a_foreign_key_pulls_up_a_table_that_the_question_does_not_name() -> None:
    named = make_table("orders", "amount", refers_to="zones")
    index = make_index(named, make_table("zones", "id"), *(make_table(f"a{n}", "x") for n in range(30)))
    assert index.rank("amount of orders", 2) == ["orders", "zones"]


def test_a_shared_key_column_joins_tables_without_declared_keys() -> None:
    index = make_index(
        make_table("rooms", "building_key", "area"),
        make_table("zz_sites", "building_key", "city"),
        *(make_table(f"a{n}", f"x{n}") for n in range(30)),
    )
    assert index.rank("area of rooms", 2) == ["rooms", "zz_sites"]


def test_a_column_called_after_a_table_joins_it() -> None:
    index = make_index(
        make_table("visits", "zz_guest_id", "day"),
        make_table("zz_guests", "id"),
        *(make_table(f"a{n}", "id") for n in range(30)),
    )
    assert index.rank("visits by day", 2) == ["visits", "zz_guests"]


def test_a_column_that_nearly_all_tables_have_joins_none() -> None:
    index = make_index(
        make_table("rooms", "tenant_id"),
        make_table("zz_last", "tenant_id"),
        *(make_table(f"a{n}", "tenant_id") for n in range(30)),
    )
    assert index.rank("rooms", 32)[-1] == "zz_last"


def test_an_approved_question_brings_the_tables_that_its_words_do_not_name() -> None:
    tables = [make_table("lists", "name"), make_table("zz_member", "x"), *(make_table(f"a{n}", "y") for n in range(30))]
    question = "How many people subscribed to the newsletter?"
    assert "zz_member" not in make_index(*tables).rank(question, 5)
    example = Example("Who is subscribed to our newsletter?", ("ZZ_Member", "lists"))
    assert set(make_index(*tables, examples=(example,)).rank(question, 2)) == {"zz_member", "lists"}


def test_approved_questions_about_something_else_change_little() -> None:
    tables = [make_table("orders", "amount"), make_table("newsletter", "subscriber"), make_table("a", "b")]
    example = Example("Who is subscribed to our newsletter?", ("newsletter",))
    assert make_index(*tables, examples=(example,)).rank("amount of all orders", 1) == ["orders"]


def test_tables_used_together_pull_each_other_up() -> None:
    tables = [make_table(name, "x") for name in ("ports", "zz_tags", *(f"a{n}" for n in range(30)))]
    example = Example("anything else entirely", ("ports", "zz_tags"))
    assert make_index(*tables, examples=(example,)).rank("show ports", 2) == ["ports", "zz_tags"]


def test_an_example_of_tables_that_are_gone_is_forgotten() -> None:
    tables = [make_table("orders", "amount"), make_table("a", "b")]
    index = make_index(*tables, examples=(Example("amount of orders", ("removed",)),))
    assert index.rank("amount of orders", 1) == ["orders"]


@pytest.mark.parametrize("question", ["", "   ", "?!", "xyzzy plugh", "the of and", "\x00", "🙂"])
def test_a_question_that_says_nothing_gets_the_tables_most_used_then_most_joined(question: str) -> None:
    index = make_index(
        make_table("a", "b"),
        make_table("hub", "id"),
        make_table("spoke", refers_to="hub"),
        make_table("rim", refers_to="hub"),
        make_table("used", "x"),
        examples=(Example("something asked", ("used",)),),
    )
    ranked = index.rank(question, 9)
    assert ranked[:2] == ["used", "hub"]
    assert ranked[-1] == "a"


def test_other_languages_are_found_with_and_without_their_accents() -> None:
    names = (("département", "nom"), ("销售订单", "金额"), ("straße", "plz"), ("a", "b"))
    index = make_index(*(make_table(*each) for each in names))
    assert index.rank("Combien de departements ?", 1) == ["département"]
    assert index.rank("哪个客户的销售订单最多", 1) == ["销售订单"]
    assert index.rank("In welcher Strasse?", 1) == ["straße"]


def test_fewer_tables_than_asked_for_are_all_ranked_once() -> None:
    names = [f"t{n}" for n in range(7)]
    index = make_index(*(make_table(name, "x", refers_to="t0") for name in names))
    assert sorted(index.rank("t3 x", 50)) == names
    assert Index.build(Schema("postgres", ())).rank("anything", 5) == []


def test_a_larger_top_begins_with_the_smaller_one() -> None:
    index = Index.build(catalog_make(200))
    question = question_make(random.Random(1))
    ranks = [index.rank(question, top) for top in (1, 5, 20, 100, 200)]
    assert all(longer[: len(shorter)] == shorter for shorter, longer in pairwise(ranks))
    assert len(set(ranks[-1])) == 200


def test_the_order_of_the_catalog_changes_nothing() -> None:
    schema, question = catalog_make(300), question_make(random.Random(2))
    turned = replace(schema, tables=schema.tables[::-1])
    assert Index.build(schema).rank(question, 50) == Index.build(turned).rank(question, 50)


@pytest.mark.slow
def test_five_thousand_tables_are_indexed_and_ranked_within_bounded_memory() -> None:
    schema = catalog_make(5000)
    tracemalloc.start()
    try:
        index = Index.build(schema)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert len(index.rank(question_make(random.Random(3)), 20)) == 20
        _, ranking = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 40e6
    assert peak < 200e6
    assert ranking - kept < 10e6
    assert kept / 4 < index.byte_count < kept * 4
    assert len(index.to_bytes()) < 2e6
