"""What day it is, is for the team's time zone to say."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.text2sql.targets.mariadb import MariaDb
from text2sql.targets.errors import TargetUnreachable
from text2sql.targets.explain import plan_cost
from text2sql.targets.run import run_query

TODAY = {"postgres": "SELECT CURRENT_DATE", "duckdb": "SELECT current_date", "mysql": "SELECT CURRENT_DATE"}
KINDS = ["postgres", "duckdb", pytest.param("mysql", marks=pytest.mark.services)]


@pytest.mark.parametrize("dialect", KINDS)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "Pacific/Pago_Pago", "America/St_Johns"])
def test_today_is_the_teams_day(request: pytest.FixtureRequest, dialect: str, zone: str) -> None:
    url = str(request.getfixturevalue(f"{dialect}_url"))
    before = datetime.now(ZoneInfo(zone)).date()
    result = run_query(url, TODAY[dialect], dialect=dialect, row_cap=1, timeout=20, time_zone=zone)
    after = datetime.now(ZoneInfo(zone)).date()
    assert result.rows in ([[before.isoformat()]], [[after.isoformat()]])


@pytest.mark.services
def test_mariadb_that_can_not_tell_the_zone_says_what_to_do(mysql_url: str) -> None:
    with pytest.raises(TargetUnreachable, match="mysql_tzinfo_to_sql"):
        run_query(mysql_url, "SELECT 1", dialect="mysql", row_cap=1, timeout=5, time_zone="Pacific/Kiritimati")


@pytest.mark.services
def test_mariadb_with_its_tables_goes_by_the_zone_itself(mariadb: MariaDb, mysql_url: str) -> None:
    mariadb.execute(
        "INSERT INTO mysql.time_zone_name VALUES ('Asia/Tokyo', 7);"
        "INSERT INTO mysql.time_zone VALUES (7, 'N');"
        "INSERT INTO mysql.time_zone_transition_type VALUES (7, 0, 32400, 0, 'JST')"
    )
    result = run_query(mysql_url, "SELECT @@time_zone", dialect="mysql", row_cap=1, timeout=5, time_zone="Asia/Tokyo")
    assert result.rows == [["Asia/Tokyo"]]


def test_sqlite_stays_with_utc(sqlite_url: str) -> None:
    result = run_query(
        sqlite_url, "SELECT datetime('now', 'localtime') = datetime('now')", dialect="sqlite", row_cap=1, timeout=5,
        time_zone="Pacific/Kiritimati",
    )  # fmt: skip
    assert result.rows == [[1]]


def test_instants_are_shown_with_the_zones_offset(postgres_url: str, duckdb_url: str) -> None:
    for url, dialect in ((postgres_url, "postgres"), (duckdb_url, "duckdb")):
        sql = "SELECT TIMESTAMPTZ '2026-07-01 12:00:00+00'"
        result = run_query(url, sql, dialect=dialect, row_cap=1, timeout=20, time_zone="Asia/Kolkata")
        assert result.rows == [["2026-07-01T17:30:00+05:30"]]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "UTC'; DROP TABLE customers; --", "../../etc/passwd", ""])
def test_a_zone_that_does_not_exist_never_reaches_the_database(sqlite_url: str, zone: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        run_query(sqlite_url, "SELECT 1", dialect="sqlite", row_cap=1, timeout=5, time_zone=zone)
    with pytest.raises((KeyError, ValueError)):
        plan_cost(sqlite_url, "SELECT 1", dialect="sqlite", timeout=5, time_zone=zone)
