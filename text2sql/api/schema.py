"""What the OpenAPI description says in many places."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse

from text2sql.api.serializers import ProblemSerializer


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Responses of these statuses, and those that every address has, as problem documents."""
    return {
        (status, "application/problem+json"): OpenApiResponse(ProblemSerializer)
        for status in sorted({401, 403, *statuses})
    }
