"""SQL comes out of Markdown as it was written."""

import pytest

from text2sql.pipeline.fence import sql_unwrap


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "\n SELECT 1 \n",
        "```sql\nSELECT 1\n```",
        "```SQL\nSELECT 1",
        "```\nSELECT 1\n```\nThis counts to one.",
        "```SELECT 1```",
        "```postgresql SELECT 1```",
        "Here is the query:\n\n```sqlite\nSELECT 1\n```",
        "Select it like this:\n```sql\nSELECT 1\n```",
        "With this query you get it.\n```sql\nSELECT 1\n```",
        "SELECT 1\n```",
        "SELECT 1\n```\n\n```",
    ],
)
def test_a_statement_comes_out_of_its_fence(text: str) -> None:
    assert sql_unwrap(text) == "SELECT 1"


def test_a_statement_that_begins_with_with_is_no_prose() -> None:
    assert sql_unwrap("WITH a AS (SELECT 1) SELECT * FROM a\n```\nexplained") == "WITH a AS (SELECT 1) SELECT * FROM a"


def test_a_fence_in_a_string_is_left_alone() -> None:
    assert sql_unwrap("SELECT '```sql' AS fence") == "SELECT '```sql' AS fence"


def test_text_without_a_fence_is_left_to_the_parser() -> None:
    assert sql_unwrap("I cannot answer that.") == "I cannot answer that."
