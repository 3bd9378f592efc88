"""The figures of the README, held: Beaver's 463 tables as one catalog, without embeddings."""

import pytest

from tests.quality.beaver import FOLDER, MISSING
from tests.quality.retrieval import TOPS, shares_with, shares_without

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)

AT_20 = TOPS.index(20)


def test_without_examples_all_tables_are_among_the_best_20_for_55_percent() -> None:
    assert shares_without()[AT_20] >= 55


def test_with_104_approved_examples_all_tables_are_among_the_best_20_for_82_percent() -> None:
    assert shares_with(104)[AT_20] >= 82


def test_twenty_approved_examples_are_worth_more_than_none() -> None:
    assert shares_with(20)[AT_20] > shares_without()[AT_20] + 5
