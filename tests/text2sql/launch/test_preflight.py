"""What is seen before anything is started."""

import os
import socket
from pathlib import Path

import pytest

from text2sql.launch.error import StartError
from text2sql.launch.lock import held_lock
from text2sql.launch.preflight import check_port, make_data_dir


def test_a_taken_port_is_named_with_the_option_that_helps() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartError, match=rf"^Port {port} is taken .*--port\.$"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


@pytest.mark.parametrize("port", [0, 65536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(StartError, match=r"is no port.*--port"):
        check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such name"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(StartError, match=r"is no address of this machine.*--host"):
        check_port(host, 40001)


def test_the_data_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    make_data_dir(tmp_path / "a" / "data")
    assert (tmp_path / "a" / "data" / "logs").is_dir()
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_data_folders_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartError, match=r"data cannot be written .*DATA_DIR"):
        make_data_dir(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere but to special file systems")
def test_a_folder_of_somebody_else_is_one_sentence() -> None:
    with pytest.raises(StartError, match=r"cannot be written .*DATA_DIR"):
        make_data_dir(Path("/usr/text2sql-test"))


def test_a_file_system_that_nobody_writes_to_is_one_sentence() -> None:
    with pytest.raises(StartError, match=r"/proc/text2sql cannot be written .*DATA_DIR"):
        make_data_dir(Path("/proc/text2sql"))


def test_a_lock_is_held_once_and_free_afterwards(tmp_path: Path) -> None:
    with (
        held_lock(tmp_path / "lock", "busy"),
        pytest.raises(StartError, match="second"),
        held_lock(tmp_path / "lock", "second"),
    ):
        pytest.fail("held twice")
    with held_lock(tmp_path / "lock", "third"):
        pass
