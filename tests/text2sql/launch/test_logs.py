"""Reading logs behind their writers."""

from pathlib import Path

import pytest

from text2sql.launch import logs
from text2sql.launch.logs import LogFile, is_alarm


def write(log: LogFile, text: str) -> None:
    with log.open() as file:
        file.write(text.encode())


def test_only_complete_new_lines_are_read(tmp_path: Path) -> None:
    write(LogFile(tmp_path / "web.log"), "from an earlier start\n")
    log = LogFile(tmp_path / "web.log")
    assert log.fresh_lines() == []
    write(log, "one\ntw")
    assert log.fresh_lines() == ["one"]
    write(log, "o\n")
    assert log.fresh_lines() == ["two"]
    assert log.fresh_lines() == []


def test_a_flood_is_skipped_and_its_end_is_read(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    write(log, "x" * 99 + "\n")
    write(log, ("y" * 99 + "\n") * 5000 + "the end\n")
    lines = log.fresh_lines()
    assert lines[-1] == "the end"
    assert set(lines[:-1]) == {"y" * 99}
    assert log.fresh_lines() == []


def test_a_line_without_end_does_not_stop_the_reading(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    write(log, "z" * 200_000)
    log.fresh_lines()
    write(log, "\nafter\n")
    assert log.fresh_lines()[-1] == "after"


def test_a_long_log_is_set_aside_while_its_writer_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "KEEP_BYTES", 100)
    log = LogFile(tmp_path / "web.log")
    with log.open() as writer:
        writer.write(b"old\n" * 50)
        log.rotate()
        writer.write(b"new\n")
    assert (tmp_path / "web.log").read_text() == "new\n"
    assert (tmp_path / "web.log.1").read_text() == "old\n" * 50
    assert log.fresh_lines() == ["new"]


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "web.log")
    write(log, "".join(f"{number}\n" for number in range(50_000)))
    assert log.tail(2) == "49998\n49999"


def test_logs_are_for_us_alone(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "web.log")
    write(log, "x\n")
    assert log.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("line", "alarm"),
    [
        ("2026-01-01 ERROR text2sql something", True),
        ("[2026-01-01: WARNING/MainProcess] slow", True),
        ("2026-01-01 00:00:00 UTC [12] FATAL:  no", True),
        ("INFO all is well", False),
        ("ERRORS are counted", False),
    ],
)
def test_warnings_and_worse_are_alarms(line: str, alarm: bool) -> None:
    assert is_alarm(line) is alarm
