import uuid
from typing import Any

import boto3
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from tests.text2sql.cache.stand_ins import ScriptedDynamo, closed_port_url
from text2sql.management.commands.create_cache_table import Command


@pytest.fixture
def client(table_name: str, moto_url: str) -> Any:
    return boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=moto_url)


def refusal() -> str:
    with pytest.raises(CommandError) as raised:
        call_command("create_cache_table")
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_the_command_makes_the_table_and_the_second_time_changes_nothing(
    client: Any, table_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("create_cache_table")
    assert "was created" in capsys.readouterr().out
    table = client.describe_table(TableName=table_name)["Table"]

    call_command("create_cache_table")
    assert "already exists" in capsys.readouterr().out

    assert client.describe_table(TableName=table_name)["Table"] == table
    assert table["TableStatus"] == "ACTIVE"
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "cache_key", "KeyType": "HASH"}]
    [index] = table["GlobalSecondaryIndexes"]
    assert index["KeySchema"] == [
        {"AttributeName": "database_id", "KeyType": "HASH"},
        {"AttributeName": "created_at", "KeyType": "RANGE"},
    ]
    ttl = client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert {"Key": "application", "Value": "text2sql"} in tags


def test_a_table_left_without_its_ttl_gets_it(client: Any, table_name: str) -> None:
    call_command("create_cache_table")
    client.update_time_to_live(TableName=table_name, TimeToLiveSpecification={"Enabled": False, "AttributeName": "ttl"})

    call_command("create_cache_table")

    ttl = client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "ENABLED"


def test_another_table_of_that_name_is_left_alone(client: Any, table_name: str) -> None:
    client.create_table(
        TableName=table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "order_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
    )

    assert "is no answer cache" in refusal()

    ttl = client.describe_time_to_live(TableName=table_name)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"


def test_a_table_that_expires_by_another_attribute_is_left_alone(client: Any, table_name: str) -> None:
    call_command("create_cache_table")
    for enabled, attribute in ((False, "ttl"), (True, "deadline")):
        client.update_time_to_live(
            TableName=table_name, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute}
        )

    assert "by deadline, not by ttl" in refusal()


def test_without_a_name_the_command_asks_for_one(settings: Settings) -> None:
    settings.CACHE_TABLE_NAME = ""

    assert refusal().startswith("Set CACHE_TABLE_NAME")


def test_missing_credentials_are_named(dynamo: ScriptedDynamo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert refusal().startswith("No AWS credentials were found")
    assert dynamo.requests == []


def test_half_a_key_pair_is_named(dynamo: ScriptedDynamo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert refusal().startswith("No AWS credentials were found")


def test_a_denied_call_is_named(dynamo: ScriptedDynamo) -> None:
    dynamo.answers(400, "AccessDeniedException", "User is not authorized")

    assert "dynamodb:DescribeTable on the table answers" in refusal()


def test_refused_credentials_name_the_region(dynamo: ScriptedDynamo, settings: Settings) -> None:
    settings.AWS_REGION = "ap-east-1"
    dynamo.answers(400, "UnrecognizedClientException", "The security token included in the request is invalid.")

    text = refusal()
    assert "ap-east-1" in text
    assert "UnrecognizedClientException" in text


def test_another_refusal_is_passed_on(dynamo: ScriptedDynamo) -> None:
    dynamo.answers(400, "LimitExceededException", "Too many tables.")

    text = refusal()
    assert "LimitExceededException" in text
    assert "Too many tables." in text


@pytest.mark.parametrize("region", ["", "not a region"])
def test_a_region_that_is_none_is_named(
    aws: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    settings.CACHE_TABLE_NAME = f"answers-{uuid.uuid4()}"
    settings.AWS_REGION = region
    settings.DYNAMODB_ENDPOINT_URL = ""

    assert refusal().startswith(f"AWS_REGION is {region!r}")


def test_an_endpoint_that_is_no_url_is_named(aws: None, settings: Settings) -> None:
    settings.CACHE_TABLE_NAME = "answers"
    settings.DYNAMODB_ENDPOINT_URL = "localhost:8000/no-scheme"

    assert "localhost:8000/no-scheme" in refusal()


def test_an_unreachable_endpoint_ends_the_command_with_one_sentence_and_a_code(
    aws: None, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.CACHE_TABLE_NAME = "answers"
    settings.DYNAMODB_ENDPOINT_URL = closed_port_url()

    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "create_cache_table"])

    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert "cannot be reached" in err
    assert "AWS_REGION" in err
    assert len(err.splitlines()) == 1
