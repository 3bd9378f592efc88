from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from django.db import connection, connections

T = TypeVar("T")
Crowd = Callable[[int, Callable[[int], T]], list[T]]


@pytest.fixture
def crowd(transactional_db: None) -> Crowd[object]:
    """Runs a function in so many threads at the same moment, each with a connection of its own outside the pool."""
    unpooled = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "pool"}

    def run(count: int, work: Callable[[int], object]) -> list[object]:
        start = Barrier(count)

        def one(number: int) -> object:
            mine = connections["default"]
            mine.settings_dict = {**mine.settings_dict, "OPTIONS": unpooled}
            mine.ensure_connection()
            start.wait()
            try:
                return work(number)
            finally:
                mine.close()

        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(one, range(count)))

    return run
