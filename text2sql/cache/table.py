"""The DynamoDB table of the answer cache: made once, by `manage.py create_cache_table`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  # botocore's own name for what could not be reached
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    WaiterError,
)
from django.conf import settings

from text2sql.cache.dynamodb import CREATED, DATABASE, KEY, TTL, client_build

INDEX = "database_id-created_at"
_BAD_CREDENTIALS = {
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
}


class TableError(Exception):
    """The table could not be made; the message is one sentence that says what to do."""


def table_ensure() -> bool:
    """Creates the table CACHE_TABLE_NAME unless it is there, and waits until it is in use with its TTL.

    True where it was created, False where it existed. Raises TableError.
    """
    name = settings.CACHE_TABLE_NAME
    if not name:
        raise TableError("Set CACHE_TABLE_NAME to the table's name; without it the cache is kept in PostgreSQL.")
    with explained(name):
        client = client_build(connect_timeout=5, read_timeout=20)
        created = not _table_exists(client, name) and _table_create(client, name)
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 90})
        _shape_check(client.describe_table(TableName=name)["Table"])
        _ttl_enable(client, name)
    return created


def _table_exists(client: Any, name: str) -> bool:
    try:
        client.describe_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def _table_create(client: Any, name: str) -> bool:
    """False where another run of the command was faster."""
    try:
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": attribute, "AttributeType": "S"} for attribute in (KEY, DATABASE, CREATED)
            ],
            KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": INDEX,
                    "KeySchema": [
                        {"AttributeName": DATABASE, "KeyType": "HASH"},
                        {"AttributeName": CREATED, "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            Tags=[{"Key": "application", "Value": "text2sql"}, {"Key": "purpose", "Value": "answer-cache"}],
        )
    except client.exceptions.ResourceInUseException:
        return False
    return True


def _shape_check(table: dict[str, Any]) -> None:
    keys = [(part["AttributeName"], part["KeyType"]) for part in table["KeySchema"]]
    indexes = [index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])]
    if keys != [(KEY, "HASH")] or INDEX not in indexes:
        raise TableError(
            f"The table {table['TableName']} exists but is no answer cache (it lacks the hash key {KEY} "
            f"or the index {INDEX}): choose another CACHE_TABLE_NAME or delete the table."
        )


def _ttl_enable(client: Any, name: str) -> None:
    ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if ttl["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
        client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL})
    elif ttl["AttributeName"] != TTL:
        raise TableError(
            f"The table {name} expires its items by {ttl['AttributeName']}, not by {TTL}: change that "
            "or choose another CACHE_TABLE_NAME."
        )


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what botocore raises into a TableError."""
    try:
        yield
    except ClientError as error:
        raise TableError(_refusal(name, error)) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise TableError(
            "No AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "or give this machine a role."
        ) from error
    except (InvalidRegionError, NoRegionError) as error:
        raise TableError(f"AWS_REGION is {settings.AWS_REGION!r}: set it to a region such as eu-central-1.") from error
    except (ConnectionError, HTTPClientError) as error:
        raise TableError(
            f"DynamoDB cannot be reached ({type(error).__name__}): check AWS_REGION "
            f"({settings.AWS_REGION!r}) and DYNAMODB_ENDPOINT_URL ({settings.DYNAMODB_ENDPOINT_URL!r})."
        ) from error
    except WaiterError as error:
        raise TableError(f"The table {name} is not active after 3 minutes: run the command again.") from error
    except (BotoCoreError, ValueError) as error:
        # ValueError is botocore's word for an endpoint that is no URL.
        raise TableError(f"The table {name} could not be created: {error}") from error


def _refusal(name: str, error: ClientError) -> str:
    code, operation = error.response["Error"]["Code"], error.operation_name
    if code == "AccessDeniedException":
        return f"These credentials may not call dynamodb:{operation} on the table {name}: allow them to."
    if code in _BAD_CREDENTIALS:
        return (
            f"AWS does not accept these credentials in {settings.AWS_REGION} ({code}): "
            "check the key pair, its expiry and AWS_REGION."
        )
    return f"DynamoDB refused {operation} on the table {name}: {error}"
