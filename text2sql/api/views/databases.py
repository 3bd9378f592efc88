from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from teams.access import Scope
from text2sql.api.auth import principal_of
from text2sql.api.schema import problems
from text2sql.api.serializers import (
    DatabaseSerializer,
    SchemaSerializer,
    SuggestionSerializer,
    SuggestionsForSerializer,
)
from text2sql.models import DatabaseAccess
from text2sql.services.suggestions import suggestions_find
from text2sql.services.targets import target_find


class DatabaseListView(ListAPIView[DatabaseAccess]):
    """The databases your team may ask."""

    scopes = (Scope.READ,)
    serializer_class = DatabaseSerializer
    queryset = DatabaseAccess.objects.none()
    pagination_class = None

    def get_queryset(self) -> QuerySet[DatabaseAccess]:
        opened = DatabaseAccess.objects.visible_to(principal_of(self.request))
        return opened.select_related("database__catalog").order_by("database__name")


class DatabaseSchemaView(APIView):
    """The tables and columns that your team sees."""

    scopes = (Scope.READ,)

    @extend_schema(responses={200: SchemaSerializer, **problems(404, 409)})
    def get(self, request: Request, name: str) -> Response:
        principal = principal_of(request)
        target = target_find(principal=principal, team_id=principal.team_id, name=name)
        view = target.view()
        return Response(
            SchemaSerializer(
                {
                    "database": target.name,
                    "dialect": target.dialect,
                    "schema_version": target.schema_version,
                    "tables": view.tables,
                }
            ).data
        )


class DatabaseSuggestionsView(APIView):
    """Questions near to this one that your team was answered before or has verified; none is answered by this."""

    scopes = (Scope.READ,)

    @extend_schema(
        parameters=[SuggestionsForSerializer],
        responses={200: SuggestionSerializer(many=True), **problems(400, 404, 409)},
    )
    def get(self, request: Request, name: str) -> Response:
        asked = SuggestionsForSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        principal = principal_of(request)
        target = target_find(principal=principal, team_id=principal.team_id, name=name)
        found = suggestions_find(principal=principal, target=target, question=asked.validated_data["question"])
        return Response(SuggestionSerializer(found, many=True).data)
