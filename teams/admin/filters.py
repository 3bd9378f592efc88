"""Filters of lists that are too long to be asked which values there are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib.admin import AllValuesFieldListFilter, FieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date, parse_datetime

from observability.models import Price


class InputsFilter(FieldListFilter):
    """Fields to fill in, each a lookup of the query string; needs the page's `list_filter_submit`."""

    template = "admin/teams/lists/inputs.html"
    inputs: ClassVar[dict[str, str]] = {}
    """What is said before each field, by its lookup; the lookup "" is equality."""
    input_type = "text"

    def expected_parameters(self) -> list[str | None]:
        return [self._parameter(lookup) for lookup in self.inputs]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = {name: self.read(text) for name in self._names() if (text := self._text(name))}
        return queryset.filter(**asked)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The fields; Django's word for what a filter shows."""
        for lookup, label in self.inputs.items():
            name = self._parameter(lookup)
            yield {"name": name, "label": label, "type": self.input_type, "value": self.show(self._text(name))}

    def read(self, text: str) -> Any:
        """The value that a text stands for. Raises IncorrectLookupParameters for one that stands for none."""
        if "\0" in text:  # no text in PostgreSQL has one
            raise IncorrectLookupParameters
        return text

    def show(self, text: str) -> str:
        return text

    def _parameter(self, lookup: str) -> str:
        return f"{self.field_path}__{lookup}" if lookup else str(self.field_path)

    def _names(self) -> list[str]:
        return [self._parameter(lookup) for lookup in self.inputs]

    def _text(self, name: str) -> str:
        given = self.used_parameters.get(name) or [""]
        return str(given[-1] if isinstance(given, list) else given).strip()


class ExactFilter(InputsFilter):
    """The very text."""

    inputs: ClassVar[dict[str, str]] = {"": "is"}


class NumbersFilter(InputsFilter):
    """From a number to a number, both included."""

    inputs: ClassVar[dict[str, str]] = {"gte": "at least", "lte": "at most"}
    input_type = "number"

    def read(self, text: str) -> Any:
        try:
            return self.field.to_python(text)
        except ValidationError as error:
            raise IncorrectLookupParameters from error


class TimesFilter(InputsFilter):
    """From a time on, and before a time. A time without a zone is in UTC; a day is its beginning."""

    inputs: ClassVar[dict[str, str]] = {"gte": "from (UTC)", "lt": "before (UTC)"}
    input_type = "datetime-local"

    def read(self, text: str) -> datetime:
        try:
            day = parse_date(text)
            at = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # noqa: DTZ001  # zone below
            if at is None:
                raise IncorrectLookupParameters
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error

    def show(self, text: str) -> str:
        return f"{self.read(text):%Y-%m-%dT%H:%M}" if text else ""


class ModelFilter(AllValuesFieldListFilter):
    """The models that have a price: a question to the long list itself, which ones are in it, takes seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = Price.objects.order_by("model").values_list("model", flat=True).distinct()
        self.lookup_choices: Any = list(models)


class ScopeFilter(AllValuesFieldListFilter):
    """The teams that rows tell of, among those the person may see."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "team"

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "the organisation"}
