"""The keys of a first start."""

from pathlib import Path

from cryptography.fernet import Fernet

from text2sql.launch.secrets import write_first_secrets


def values(data_dir: Path) -> dict[str, str]:
    lines = (data_dir / "secrets.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_first_start_gets_keys_that_work_and_nobody_else_reads(tmp_path: Path) -> None:
    assert write_first_secrets(tmp_path, {})
    found = values(tmp_path)
    assert len(found["SECRET_KEY"]) >= 50
    cipher = Fernet(found["ENCRYPTION_KEYS"])
    assert cipher.decrypt(cipher.encrypt(b"x")) == b"x"
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600


def test_a_second_start_keeps_them(tmp_path: Path) -> None:
    write_first_secrets(tmp_path, {})
    before = values(tmp_path)
    assert not write_first_secrets(tmp_path, {})
    assert values(tmp_path) == before


def test_a_key_that_was_given_is_not_replaced(tmp_path: Path) -> None:
    assert write_first_secrets(tmp_path, {"SECRET_KEY": "given", "ENCRYPTION_KEYS": ""})
    assert set(values(tmp_path)) == {"ENCRYPTION_KEYS"}


def test_nothing_is_written_where_all_keys_are_given(tmp_path: Path) -> None:
    assert not write_first_secrets(tmp_path, {"SECRET_KEY": "a", "ENCRYPTION_KEYS": "b"})
    assert not (tmp_path / "secrets.env").exists()


def test_lost_keys_beside_existing_data_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    assert not write_first_secrets(tmp_path, {})
    assert not (tmp_path / "secrets.env").exists()


def test_data_behind_a_broken_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "postgres").symlink_to(tmp_path / "unmounted")
    assert not write_first_secrets(tmp_path, {})
