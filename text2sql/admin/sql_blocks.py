"""SQL on the admin's pages. Whoever shows a block has SQL_JS and text2sql/answers.css among the page's media."""

from django.forms import Script
from django.utils.html import format_html

SQL_JS = [Script("text2sql/sql_blocks.js", type="module")]
"""Lays the blocks out and colours them; without it they stand as they are."""


def sql_block(sql: str) -> str:
    """Escaped, its white space kept."""
    return format_html('<pre class="answers-sql">{}</pre>', sql) if sql else "–"
