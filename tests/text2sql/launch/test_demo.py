"""What is kept of the demo between two starts."""

from pathlib import Path

from text2sql.launch.demo import DemoAccess, DemoFile

ACCESS: DemoAccess = {"keys": {"sales": "t2s_x"}, "database": "sales_db", "question": "How many?"}


def test_it_is_read_back_and_readable_by_nobody_else(tmp_path: Path) -> None:
    DemoFile(tmp_path, "").write(ACCESS)
    assert DemoFile(tmp_path, "").read() == ACCESS
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


def test_another_database_knows_nothing_of_it(tmp_path: Path) -> None:
    DemoFile(tmp_path, "").write(ACCESS)
    assert DemoFile(tmp_path, "postgresql://elsewhere/x").read() is None


def test_the_databases_password_is_not_in_it(tmp_path: Path) -> None:
    DemoFile(tmp_path, "postgresql://me:geheim@elsewhere/x").write(ACCESS)
    assert "geheim" not in (tmp_path / "demo.json").read_text()


def test_a_missing_or_broken_file_means_there_is_no_demo_yet(tmp_path: Path) -> None:
    assert DemoFile(tmp_path, "").read() is None
    (tmp_path / "demo.json").write_text('{"place": "embed')
    assert DemoFile(tmp_path, "").read() is None
