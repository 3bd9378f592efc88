"""The IAM policies of docs/caching.md against the calls that are really made: all of them, and no others."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.endpoint import Endpoint
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from moto.core import enable_iam_authentication
from pytest_django import Settings

from tests.processes import PROJECT
from text2sql.cache.answers import AnswerCache, CachedAnswer
from text2sql.cache.dynamodb import DynamoAnswerCache
from text2sql.cache.probe import TableError, cache_probe

KEY = "a" * 64
IMPLIED = {"TagResource"}
"""No call of its own: AWS wants it of a CreateTable with tags."""


def policies() -> list[dict[str, Any]]:
    page = (PROJECT / "docs/caching.md").read_text(encoding="utf-8")
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]


def allowed(policy: dict[str, Any]) -> list[str]:
    (statement,) = policy["Statement"]
    return [action.removeprefix("dynamodb:") for action in statement["Action"]]


RUNNING, MAKING = policies()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Every call that botocore sends while the test runs: the operation and its body."""
    made: list[tuple[str, dict[str, Any]]] = []
    send = Endpoint.make_request

    def make_request(self: Endpoint, operation_model: Any, request_dict: dict[str, Any]) -> Any:
        made.append((operation_model.name, json.loads(request_dict["body"] or "{}")))
        return send(self, operation_model, request_dict)

    monkeypatch.setattr(Endpoint, "make_request", make_request)
    return made


def use(cache: AnswerCache, answer: CachedAnswer) -> CachedAnswer | None:
    """All that a running installation does with the cache; what it held."""
    cache.put(KEY, answer, database_id="d", expires_at=timezone.now() + timedelta(days=1))
    hit = cache.get(KEY)
    cache.get(KEY, is_latest=True)
    cache.delete(KEY)
    cache_probe()
    return hit.answer if hit else None


def test_running_calls_what_its_policy_allows_and_nothing_else(
    dynamo_cache: DynamoAnswerCache, answer: CachedAnswer, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    assert use(dynamo_cache, answer) == answer
    assert {operation for operation, _ in calls} == set(allowed(RUNNING))


def test_making_the_table_calls_what_its_policy_allows_and_nothing_else(
    table_name: str, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    call_command("create_cache_table")
    call_command("create_cache_table")
    assert {operation for operation, _ in calls} == set(allowed(MAKING)) - IMPLIED
    (made,) = [body for operation, body in calls if operation == "CreateTable"]
    assert made["Tags"]


def test_both_policies_open_one_table_and_nothing_beside_it() -> None:
    for policy in (RUNNING, MAKING):
        (statement,) = policy["Statement"]
        assert policy["Version"] == "2012-10-17"
        assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        assert re.fullmatch(r"arn:aws:dynamodb:[a-z0-9-]+:\d{12}:table/[\w.-]+", statement["Resource"])
        assert not [action for action in statement["Action"] if "*" in action]
        assert statement["Action"] == sorted(statement["Action"])


@contextmanager
def signed_in_as(actions: list[str], moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials of a user who may do just that, at a server that checks signatures and policies."""
    iam = boto3.client("iam", region_name="eu-central-1", endpoint_url=moto_url)
    name = f"user-{'-'.join(sorted(actions))}"[:64]
    iam.create_user(UserName=name)
    # Which table it is about moto does not look at.
    statement = {"Effect": "Allow", "Action": [f"dynamodb:{action}" for action in actions], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        with monkeypatch.context() as environment, enable_iam_authentication():
            environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            yield
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName=name, PolicyName="only")
        iam.delete_user(UserName=name)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the cache said of calls that failed."""
    return [record.getMessage() for record in caplog.records if record.name == "text2sql.cache.dynamodb"]


def denied(action: str) -> str:
    # moto denies in XML, which hides the error's code; what the product makes of DynamoDB's own answer is tested in
    # test_create_cache_table.py and test_dynamodb_faults.py.
    return f"is not authorized to perform: dynamodb:{action}<"


def test_the_policy_to_run_with_suffices(
    dynamo_cache: DynamoAnswerCache, answer: CachedAnswer, moto_url: str, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with signed_in_as(allowed(RUNNING), moto_url, monkeypatch):
        assert use(dynamo_cache, answer) == answer
    assert failures(caplog) == []


@pytest.mark.parametrize("lacking", allowed(RUNNING))
def test_without_one_of_its_actions_that_call_is_denied_and_no_question_fails(
    lacking: str, dynamo_cache: DynamoAnswerCache, answer: CachedAnswer, moto_url: str,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    others = [action for action in allowed(RUNNING) if action != lacking]
    with signed_in_as(others, moto_url, monkeypatch):
        if lacking == "GetItem":
            with pytest.raises(TableError, match=denied("GetItem")):
                use(dynamo_cache, answer)
        else:
            use(dynamo_cache, answer)
    (line,) = failures(caplog)
    assert denied(lacking) in line


def test_the_policy_to_make_the_table_with_suffices(
    table_name: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in_as(allowed(MAKING), moto_url, monkeypatch):
        call_command("create_cache_table")
        call_command("create_cache_table")


@pytest.mark.parametrize("lacking", sorted(set(allowed(MAKING)) - IMPLIED))
def test_without_one_of_its_actions_the_command_fails(
    lacking: str, table_name: str, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [action for action in allowed(MAKING) if action != lacking]
    with signed_in_as(others, moto_url, monkeypatch), pytest.raises(CommandError, match=denied(lacking)):
        call_command("create_cache_table")


def test_credentials_to_run_with_make_no_table(
    table_name: str, moto_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in_as(allowed(RUNNING), moto_url, monkeypatch), pytest.raises(CommandError, match="not authorized"):
        call_command("create_cache_table")
    dynamo = boto3.client("dynamodb", region_name=settings.AWS_REGION, endpoint_url=moto_url)
    assert table_name not in dynamo.list_tables()["TableNames"]
