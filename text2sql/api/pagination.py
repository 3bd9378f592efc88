from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError as ValueNotValid
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class NewestFirst(CursorPagination):
    """Pages by creation time, so that a page stays the same while new rows arrive."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueNotValid) as error:  # the second where a cursor holds something else than a time
            raise ValidationError({"cursor": "This is not a cursor that an answer gave."}) from error
