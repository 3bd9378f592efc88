"""What the page's scripts send."""

from typing import Any

from rest_framework import serializers

from text2sql.pipeline.prompt import QUESTION_LENGTH
from text2sql.services.checking import SQL_LENGTH

SESSION_LENGTH = 64
"""Characters of a conversation's name at most; the page makes one of 36."""


class AskedSerializer(serializers.Serializer[Any]):
    question = serializers.CharField(max_length=QUESTION_LENGTH)
    session_id = serializers.CharField(max_length=SESSION_LENGTH)
    parent_id = serializers.UUIDField(required=False, default=None, allow_null=True)


class SqlSerializer(serializers.Serializer[Any]):
    sql = serializers.CharField(max_length=SQL_LENGTH)


class RunSerializer(serializers.Serializer[Any]):
    sql = serializers.CharField(
        max_length=SQL_LENGTH, required=False, default="", allow_blank=True, help_text="As edited; empty: as answered."
    )


class SaveSerializer(serializers.Serializer[Any]):
    question = serializers.CharField(max_length=QUESTION_LENGTH)
