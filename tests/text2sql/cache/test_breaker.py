from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.text2sql.cache.conftest import Clock
from text2sql.cache.breaker import Breaker


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.allows()
        breaker.record_failure()


def test_failures_in_a_row_stop_the_asking_until_the_pause_is_over(clock: Clock) -> None:
    breaker = Breaker(failures=3, pause=30, clock=clock)
    fail(breaker, 3)

    clock.now += 29.9
    assert not breaker.allows()
    clock.now += 0.1
    assert breaker.allows()


def test_a_success_in_between_starts_the_count_again(clock: Clock) -> None:
    breaker = Breaker(failures=3, pause=30, clock=clock)
    fail(breaker, 2)
    breaker.record_success()
    fail(breaker, 2)

    assert breaker.allows()


def test_a_trial_that_succeeds_lets_everyone_through(clock: Clock) -> None:
    breaker = Breaker(failures=3, pause=30, clock=clock)
    fail(breaker, 3)
    clock.now += 30
    assert breaker.allows()
    breaker.record_success()

    assert breaker.allows()
    assert breaker.allows()


def test_a_trial_that_fails_starts_another_pause(clock: Clock) -> None:
    breaker = Breaker(failures=3, pause=30, clock=clock)
    fail(breaker, 3)
    clock.now += 30
    fail(breaker, 1)

    clock.now += 29.9
    assert not breaker.allows()
    clock.now += 0.1
    assert breaker.allows()


def test_a_trial_that_never_reports_back_is_followed_by_another(clock: Clock) -> None:
    breaker = Breaker(failures=3, pause=30, clock=clock)
    fail(breaker, 3)
    clock.now += 30
    assert breaker.allows()

    assert not breaker.allows()
    clock.now += 30
    assert breaker.allows()


def test_of_many_threads_one_makes_the_trial(clock: Clock) -> None:
    breaker = Breaker(failures=3, pause=30, clock=clock)
    fail(breaker, 3)
    clock.now += 30
    start = Barrier(16)

    def ask(_: int) -> bool:
        start.wait()
        return breaker.allows()

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(16))) == 1
