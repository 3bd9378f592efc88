"""docs/security.md: what it promises names the test that shows it, and each test and setting that it names exists."""

import re

from tests.processes import PROJECT

PAGE = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/.]+?\.py)(?:::(\w+))?`", PAGE)


def test_every_test_on_the_page_exists() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in NAMED
        if not (PROJECT / file).is_file()
        or not re.search(rf"^def {name or 'test_'}", (PROJECT / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert missing == []


def test_every_promise_names_the_test_that_holds_it() -> None:
    tables = re.findall(r"^\| Promise \| Test \|\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"\| `tests/[\w/.]+\.py(::\w+)?`", row)] == []
    assert len(re.findall(r"`tests/", PAGE)) == len(NAMED)


def test_every_setting_on_the_page_is_one() -> None:
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    settings = set(re.findall(r"`([A-Z]+_[A-Z_]+)(?:=\w+)?`", PAGE))
    assert len(settings) > 5
    assert [name for name in sorted(settings) if f"# {name}=" not in example] == []
