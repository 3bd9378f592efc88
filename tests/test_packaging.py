"""Dockerfile and compose.yaml, held against the product without a Docker engine."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.control import inspect
from celery.bin.worker import worker
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands, load_command_class
from granian.cli import cli as granian

from tests.processes import PROJECT, free_port, web_running
from text2sql.launch.children import beat_child, web_child, worker_child

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
COMPOSE_TEXT = (PROJECT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PRODUCT = {name: service for name, service in SERVICES.items() if service.get("build")}
OURS = {name: service for name, service in SERVICES.items() if "profiles" not in service}
SECRET = re.compile(r"SECRET|PASSWORD|SALT|TOKEN|AUTH\b|ENCRYPTION|API_KEY")
WEB: list[str] = json.loads(re.findall(r"^CMD (\[.*?\])$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE | re.DOTALL)[0])


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def option(name: str) -> str:
    return next(word.partition("=")[2] for word in WEB if word.startswith(f"{name}="))


def nginx_configuration() -> str:
    text: str = COMPOSE["configs"]["nginx"]["content"]
    return text.replace("$$", "$")


def test_the_topology_is_the_one_that_the_page_describes() -> None:
    assert set(PRODUCT) == {"web-1", "web-2", "worker", "beat", "migrate"}
    assert set(OURS) - set(PRODUCT) == {"proxy", "database", "broker", "dynamodb"}
    assert all(service["profiles"] == ["langfuse"] for name, service in SERVICES.items() if name not in OURS)
    for name in ("web-1", "web-2", "worker", "beat"):
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert set(re.findall(r"server (\S+):8000 resolve;", nginx_configuration())) == {"web-1", "web-2"}
    assert not any("ports" in SERVICES[name] for name in OURS if name != "proxy")


def test_the_image_starts_the_web_as_manage_start_does_but_waits_for_questions() -> None:
    own = {"--host=0.0.0.0", "--port=8000", "--workers-kill-timeout=100"}
    started = {word for word in web_child("0.0.0.0", 8000).command[3:] if "kill-timeout" not in word}  # noqa: S104  # as a container listens
    assert WEB[0] == "granian"
    assert set(WEB[1:]) - own == started - own
    parsed = granian.make_context("granian", WEB[1:]).params
    assert parsed["workers_kill_timeout"] == 100


@pytest.mark.parametrize(("name", "launched"), [("worker", worker_child()), ("beat", beat_child(Path("unused")))])
def test_worker_and_beat_are_started_as_manage_start_does(name: str, launched: Any) -> None:
    command = SERVICES[name]["command"]
    assert command[:4] == ["celery", "-A", "text2sql", name]
    mine = {word for word in command[4:] if not word.startswith("--schedule")}
    assert mine == {word for word in launched.command[7:] if not word.startswith("--schedule")}
    program = {"worker": worker, "beat": beat}[name]
    known = {name for parameter in program.params for name in parameter.opts}
    assert {word.partition("=")[0] for word in command[4:]} <= known


def test_the_workers_health_check_is_a_command_of_celery() -> None:
    words = shlex.split(SERVICES["worker"]["healthcheck"]["test"][1])
    assert words[:5] == ["celery", "-A", "text2sql", "inspect", "ping"]
    known = {name for parameter in inspect.params for name in parameter.opts}
    assert {word for word in words[5:] if word.startswith("--")} <= known


def test_what_runs_before_the_others_are_commands_with_their_options() -> None:
    script = SERVICES["migrate"]["command"][2]
    lines = [shlex.split(found) for found in re.findall(r"python manage\.py ([^;\n]+)", script)]
    assert [words[0] for words in lines] == ["check", "migrate", "create_cache_table"]
    for name, *arguments in lines:
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        parser.parse_args(arguments)  # ends the process where it does not know one


def test_every_wait_is_longer_than_the_one_inside_it() -> None:
    question = settings.QUESTION_DEADLINE_SECONDS
    kill = int(option("--workers-kill-timeout"))
    read = seconds(re.findall(r"proxy_read_timeout (\d+s);", nginx_configuration())[0])
    for name in ("web-1", "web-2", "worker"):
        assert question < kill < seconds(SERVICES[name]["stop_grace_period"])
    assert question < read <= seconds(SERVICES["proxy"]["stop_grace_period"])


def test_every_setting_of_the_containers_exists() -> None:
    known = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    botos = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(SERVICES["web-1"]["environment"]) <= known | botos
    pythons = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert set(re.findall(r"(\w+)=", " ".join(re.findall(r"^ENV (.+)", DOCKERFILE, re.MULTILINE)))) <= (
        known | pythons | {"PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR"}
    )


def environments() -> Iterator[tuple[str, str, str]]:
    for service, parts in SERVICES.items():
        for name, value in parts.get("environment", {}).items():
            yield service, name, value


def test_no_secret_has_a_default() -> None:
    for name, operator in re.findall(r"\$\{(\w+)(:?[-?+]?)", COMPOSE_TEXT):
        assert not SECRET.search(name) or operator in ("?", ":?"), name
    for service, name, value in environments():
        assert not SECRET.search(name) or re.match(r"\$\{\w+:?\?", value), (service, name)
    for url in re.findall(r"://\w*:([^@\s]+)@", COMPOSE_TEXT):
        assert url.startswith("${")
    assert not SECRET.search(DOCKERFILE)


def test_images_are_pinned_to_a_release() -> None:
    images = {service["image"] for service in SERVICES.values() if "build" not in service}
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert len(bases) == 1  # what was built is run on what it was built on
    for image in images | bases:
        assert re.search(r":(\d+\.\d+\.\d+|\d+\.\d+-trixie|RELEASE\.[\d-]+T)", image), image


def test_every_container_of_ours_is_hardened() -> None:
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
    for name in ("database", "broker"):  # whose images begin as root
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", SERVICES[name]["user"])
    assert re.findall(r"^USER (.+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert all(service["tmpfs"] == ["/tmp"] for service in PRODUCT.values())  # noqa: S108  # inside the container


def test_the_image_holds_the_product_and_nothing_else() -> None:
    copied = [source for source, _ in re.findall(r"^COPY (?!--from)(\S+) (\S+)", DOCKERFILE, re.MULTILINE)]
    ours = {Path(config.path).relative_to(PROJECT).parts[0] for config in apps.get_app_configs() if _is_ours(config)}
    assert set(copied) == {"manage.py", "requirements.txt"} | ours
    rules = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied)
    assert any(fnmatch.fnmatch("text2sql/__pycache__", rule) for rule in rules)


def _is_ours(config: Any) -> bool:
    path = Path(config.path)
    return path.is_relative_to(PROJECT) and not path.is_relative_to(PROJECT / ".venv")


def test_the_product_runs_without_the_package_that_the_image_lacks() -> None:
    (left_out,) = re.findall(r"sed '/\^([\w-]+)==/d'", DOCKERFILE)
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    assert sum(line.startswith(f"{left_out}==") for line in lines) == 1
    script = f"""
import sys
sys.modules[{left_out.replace("-", "_")!r}] = None
import text2sql.wsgi, text2sql.celery
from django.core.management import get_commands, load_command_class
text2sql.celery.app.loader.import_default_modules()
for name, app in get_commands().items():
    load_command_class(app, name)
"""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "text2sql.settings", "DATA_DIR": folder}
        ran = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, timeout=100, check=False)  # noqa: S603  # our own words
    assert ran.returncode == 0


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    """`resolve` is newer than Debian's nginx and needs Docker's names: both are taken out."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    subject = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"]
    files = ["-keyout", str(tmp_path / "tls_key"), "-out", str(tmp_path / "tls_certificate")]
    subprocess.run(["openssl", "req", *subject, *files], check=True, capture_output=True, timeout=60)  # noqa: S603, S607  # Debian's
    text = re.sub(r"server web-\d:8000 resolve;", "server 127.0.0.1:8000;", nginx_configuration())
    (tmp_path / "nginx.conf").write_text(text.replace("/run/secrets", str(tmp_path)))
    command = [nginx, "-t", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # as above
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_webs_health_check_tells_a_web_that_serves_from_one_that_does_not(tmp_path: Path) -> None:
    hosts = SERVICES["web-1"]["environment"]["ALLOWED_HOSTS"]
    names = re.sub(r"\$\{.*?\}", "text2sql.example.com", hosts)
    with web_running(tmp_path, DEBUG="false", ALLOWED_HOSTS=names, BEHIND_PROXY="true") as (url, _):
        assert health_check(url) == 0
    with web_running(
        tmp_path, DEBUG="false", ALLOWED_HOSTS=names, BEHIND_PROXY="true", REDIS_URL="redis://127.0.0.1:1/0"
    ) as (
        url,
        _,
    ):
        assert health_check(url) == 1


def health_check(url: str) -> int:
    kind, python, *words = SERVICES["web-1"]["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    told = [word.replace("http://127.0.0.1:8000", url) for word in words]
    assert told != words
    return subprocess.run([sys.executable, *told], capture_output=True, timeout=60, check=False).returncode  # noqa: S603  # the file's own words


@pytest.mark.slow
def test_the_images_web_serves_and_writes_nothing_into_its_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        build = re.findall(r"(DEBUG=false DATA_DIR=.*collectstatic.*)", DOCKERFILE)[0]
        build = build.replace("/data", str(data)).replace("/venv/bin/python", sys.executable)
        clean = {"PATH": os.environ["PATH"]}
        subprocess.run(["/bin/sh", "-ec", build], cwd=PROJECT, env=clean, check=True, capture_output=True, timeout=100)  # noqa: S603  # the file's own words
        before = sorted(data.rglob("*"))
        port = free_port()
        words = [word.replace("0.0.0.0", "127.0.0.1").replace("8000", str(port)) for word in WEB[1:]]  # noqa: S104  # as above
        nowhere = {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "SECRET_KEY": "x" * 50,
            "DEBUG": "false",
            "DATA_DIR": str(data),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "granian", *words]
        with (Path(folder) / "log").open("wb") as log:
            environment = clean | nowhere
            web = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)  # noqa: S603  # the file's own words
        try:
            answers = httpx.HTTPTransport(retries=8)  # half a second, one, two, four … seconds apart
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=answers, timeout=30) as client:
                assert client.get("/livez").status_code == 200
                assert client.get("/static/admin/css/base.css").status_code == 200
        finally:
            web.terminate()
            web.wait(30)
        assert sorted(data.rglob("*")) == before
