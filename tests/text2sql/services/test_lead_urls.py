"""What a lead may name as a database: servers in the internet, and what the admin has named. Nothing else."""

import socket
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pytest_django import Settings

from text2sql.services.databases import target_probe
from text2sql.services.lead_urls import UNREACHABLE, lead_url
from text2sql.targets.errors import TargetUnreachable, UrlRejected

PUBLIC = "93.184.215.14"
SECRET = "hunter2-secret"  # what no message may repeat


@pytest.fixture(autouse=True)
def no_hosts(settings: Settings) -> None:
    settings.LEAD_DATABASE_HOSTS = []


def resolve(monkeypatch: pytest.MonkeyPatch, **answers: list[str]) -> list[str]:
    """Names of `.test` (with `_` for their dots) and what they stand for; returns those that were asked for."""
    real, asked = socket.getaddrinfo, []

    def answer(name: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if not str(name).endswith(".test"):
            return real(name, port, *args, **kwargs)
        asked.append(str(name))
        if str(name).removesuffix(".test") not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        found = answers[str(name).removesuffix(".test")]
        return [(family[":" in one], socket.SOCK_STREAM, 6, "", (one, port or 0)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def refusal(url: str) -> str:
    with pytest.raises(UrlRejected) as refused:
        lead_url(url)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_a_server_in_the_internet_is_kept_with_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, db=[PUBLIC])
    stored = lead_url(f"postgresql://reader:{SECRET}@DB.test:5433/sales?sslmode=require")
    assert stored == f"postgresql+psycopg://reader:{SECRET}@DB.test:5433/sales?hostaddr={PUBLIC}&sslmode=require"
    stored = lead_url(f"mysql://reader:{SECRET}@db.test/sales?charset=utf8mb4")
    assert stored == f"mysql+pymysql://reader:{SECRET}@{PUBLIC}/sales?charset=utf8mb4"


def test_the_connection_goes_where_was_looked_whatever_the_name_says_later(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.LEAD_DATABASE_HOSTS = ["127.0.0.0/8"]
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        place = f"reader:{SECRET}@db.test:{server.getsockname()[1]}/sales"
        resolve(monkeypatch, db=["127.0.0.1"])
        stored = [lead_url(f"postgresql://{place}"), lead_url(f"mysql://{place}")]
        resolve(monkeypatch, db=["203.0.113.1"])
        server.settimeout(5)
        for url in stored:
            with pytest.raises(TargetUnreachable):
                refuse(server, url)


def refuse(server: socket.socket, url: str) -> None:
    """Try the URL out at a server that hangs up; fails where nobody came."""

    def hang_up() -> None:
        server.accept()[0].close()
        came.append(True)

    came: list[bool] = []
    thread = Thread(target=hang_up)
    thread.start()
    try:
        target_probe(url)
    finally:
        thread.join()
        assert came == [True]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0", "127.1", "0x7f.1"],
)
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_an_address_inside_is_refused(host: str, scheme: str) -> None:
    assert refusal(f"{scheme}://reader:{SECRET}@{host}/sales") == UNREACHABLE


def test_a_name_that_leads_inside_is_told_from_none_by_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, inside=["10.0.0.5"], partly=[PUBLIC, "10.0.0.5"])
    said = {refusal(f"postgresql://reader:{SECRET}@{name}.test/sales") for name in ("inside", "partly", "none")}
    assert said == {UNREACHABLE}


@pytest.mark.parametrize(
    "rest",
    [
        "?host=/run/postgresql", "?host=10.0.0.5", "?hostaddr=10.0.0.5", "?passfile=/root/.pgpass", "?sslkey=/etc/key",
        "?sslcert=/etc/cert", "?sslrootcert=/etc/passwd", "?sslrootcert=system&sslrootcert=/etc/passwd",
        "?service=own", "?options=-csearch_path%3Dx", "?sslmode=require&port=22",
    ],
)  # fmt: skip
def test_options_that_lead_elsewhere_are_an_admin_s(rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, db=[PUBLIC])
    assert "option" in refusal(f"postgresql://reader:{SECRET}@db.test/sales{rest}")


@pytest.mark.parametrize("rest", ["?ssl_ca=/etc/passwd", "?unix_socket=/run/mysqld/mysqld.sock", "?local_infile=1"])
def test_options_of_mysql_that_name_files_are_an_admin_s(rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, db=[PUBLIC])
    assert "option" in refusal(f"mysql://reader:{SECRET}@db.test/sales{rest}")


@pytest.mark.parametrize("place", ["db.test,127.0.0.1", "%2Frun%2Fpostgresql", "@abstract", "db.test,", "db test"])
def test_one_host_by_its_name_or_address_is_taken_and_nothing_like_it(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, db=[PUBLIC])
    assert refusal(f"postgresql://reader:{SECRET}@{place}/sales")


@pytest.mark.parametrize("who", ["", "reader@", f":{SECRET}@", "reader:@"])
def test_the_password_of_the_installation_s_own_environment_is_sent_to_nobody(
    who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, db=[PUBLIC])
    assert "user and password" in refusal(f"postgresql://{who}db.test/sales")
    assert "host" in refusal(f"postgresql://reader:{SECRET}@/sales")


def test_files_are_an_admin_s_even_below_the_folders(shop: Path) -> None:
    assert "added by an admin" in refusal(f"sqlite:///{shop}")
    assert "added by an admin" in refusal(f"duckdb:///{shop.with_suffix('.duckdb')}")


def test_hosts_and_networks_that_the_admin_has_named_are_taken(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    resolve(monkeypatch, **{"db.inside": ["10.0.0.5"], "other": ["10.0.0.6"], "inside": ["10.9.9.9"]})
    settings.LEAD_DATABASE_HOSTS = [".inside.test", "10.0.0.6/32", "fd00::5"]
    assert lead_url(f"mysql://reader:{SECRET}@db.inside.test/sales").endswith("@db.inside.test/sales")
    assert lead_url(f"mysql://reader:{SECRET}@other.test/sales").endswith("@10.0.0.6/sales")
    assert lead_url(f"mysql://reader:{SECRET}@[fd00::5]/sales").endswith("@[fd00::5]/sales")
    assert refusal(f"mysql://reader:{SECRET}@inside.test/sales") == UNREACHABLE
    assert refusal(f"mysql://reader:{SECRET}@10.0.0.7/sales") == UNREACHABLE
