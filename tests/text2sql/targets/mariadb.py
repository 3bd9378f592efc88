"""A throw-away MariaDB server from the system's package."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql  # type: ignore[import-untyped]  # ships no types
import pytest
from pymysql.constants import CLIENT  # type: ignore[import-untyped]  # likewise
from sqlalchemy import URL

MYSQL_SALES = """
    CREATE TABLE customers (
        id bigint PRIMARY KEY, name varchar(40) NOT NULL, email text COMMENT 'Private; % and :name stay as they are'
    ) COMMENT 'Who buys';
    CREATE TABLE orders (
        id bigint, line int unsigned, customer_id bigint NOT NULL, total decimal(10,2), PRIMARY KEY (id, line),
        FOREIGN KEY (customer_id) REFERENCES customers (id)
    );
    CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 100;
    CREATE TABLE secrets (id int, word text);
    INSERT INTO customers SELECT seq, concat('Customer ', seq), NULL FROM seq_1_to_500;
    INSERT INTO orders SELECT seq, 1, seq, seq FROM seq_1_to_500;
    ANALYZE TABLE customers, orders;
"""
START_SECONDS = 60
SERVER = "mariadbd"
INSTALLER = "/usr/bin/mariadb-install-db"


@dataclass(frozen=True)
class MariaDb:
    socket: str
    port: int

    def connect(self, database: str | None = None) -> Any:
        return pymysql.connect(
            unix_socket=self.socket,
            user="root",
            database=database,
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def execute(self, script: str, database: str | None = None) -> None:
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass

    def rows(self, query: str, database: str | None = None) -> Any:
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def url(self, database: str, *, user: str = "root", password: str | None = None) -> str:
        """Through the socket for the administrator, over TCP for anyone else."""
        place = {"query": {"unix_socket": self.socket}} if user == "root" else {"host": "127.0.0.1", "port": self.port}
        url = URL.create("mysql", username=user, password=password, database=database, **place)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def database(self, script: str = "") -> Iterator[str]:
        name = f"targets_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            if script:
                self.execute(script, name)
            yield name
        finally:
            self.execute(f"DROP DATABASE {name}")


@contextmanager
def temporary_mariadb() -> Iterator[MariaDb]:
    server = shutil.which(SERVER, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if server is None:
        pytest.skip("mariadb-server is not installed")
    # Not pytest's folder: the server's user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    user = ["--user=mysql"] if os.geteuid() == 0 else []  # it refuses to run as root
    try:
        if user:
            shutil.chown(folder, "mysql")
        subprocess.run(  # noqa: S603 our own arguments
            [INSTALLER, "--no-defaults", f"--datadir={folder}/data", "--skip-test-db", *user,
             "--auth-root-authentication-method=normal"],
            check=True, capture_output=True, timeout=START_SECONDS,
        )  # fmt: skip
        with running(server, folder, user) as mariadb:
            yield mariadb
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(server: str, folder: Path, user: list[str]) -> Iterator[MariaDb]:
    port = free_port()
    process = subprocess.Popen(  # noqa: S603 our own arguments
        [server, "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket", f"--port={port}",
         "--bind-address=127.0.0.1", f"--pid-file={folder}/pid", f"--log-error={folder}/log.err",
         "--innodb-buffer-pool-size=32M", "--secure-file-priv=", *user],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        mariadb = MariaDb(f"{folder}/socket", port)
        ends = time.monotonic() + START_SECONDS
        while True:
            with suppress(pymysql.MySQLError):
                mariadb.connect().close()
                break
            if process.poll() is not None or time.monotonic() > ends:
                raise AssertionError((folder / "log.err").read_text())
            time.sleep(0.1)
        yield mariadb
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
