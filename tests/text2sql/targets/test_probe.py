"""What a target's role may do beyond reading."""

from text2sql.targets.probe import probe_target


def test_a_superuser_is_warned_about(postgres_url: str) -> None:
    probe = probe_target(postgres_url, timeout=10)
    assert not probe.read_only
    assert any("superuser" in warning for warning in probe.warnings)
    assert any("write to" in warning for warning in probe.warnings)


def test_a_role_with_select_only_is_read_only(reader_url: str) -> None:
    probe = probe_target(reader_url, timeout=10)
    assert probe.read_only
    assert probe.warnings == ()
    assert probe.user.startswith("reader_")
    assert probe.server_version[0].isdigit()


def test_sqlite_is_opened_read_only(sqlite_url: str) -> None:
    probe = probe_target(sqlite_url, timeout=10)
    assert (probe.dialect, probe.database, probe.user, probe.read_only) == ("sqlite", "shop 1%.sqlite", "", True)
