"""The comparison on Defog's eleven databases, and a whole evaluation of a known share of faults on one of them."""

import os

import pytest

from tests.quality.comparison import judge_database
from tests.quality.defog import FOLDER, MISSING, database_loaded, database_names

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FOLDER.exists(), reason=MISSING), pytest.mark.timeout(600)]


@pytest.fixture
def dsn() -> str:
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        pytest.skip("DATABASE_URL names no PostgreSQL server")
    return url


@pytest.mark.parametrize("name", database_names() if FOLDER.exists() else [])
def test_rewrites_are_judged_the_same_and_faults_different(dsn: str, name: str) -> None:
    with database_loaded(dsn, name) as defog:
        tally = judge_database(defog)
    assert tally.unrunnable == []
    assert tally.refused == []
    assert tally.missed == []
    assert tally.rewrites.total() > 200
    assert tally.faults.total() > 200
