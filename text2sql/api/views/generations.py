from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from teams.access import Principal, Scope
from text2sql.api.auth import principal_of
from text2sql.api.pagination import NewestFirst
from text2sql.api.schema import problems
from text2sql.api.serializers import AnswerSerializer, GenerationSerializer, QuestionSerializer, ResultSerializer
from text2sql.models import Generation
from text2sql.problems import Problem, not_found
from text2sql.services.executions import execution_run
from text2sql.services.generation import Question, generation_create


def generation_find(principal: Principal, generation_id: UUID) -> Generation:
    """Raises Problem `not-found`, for another team's as for none."""
    rows = Generation.objects.visible_to(principal).select_related("database")
    if (generation := rows.filter(pk=generation_id).first()) is None:
        raise not_found("generation")
    return generation


class GenerateView(APIView):
    """Turn a question into SQL, and into rows where `execute` asks for them."""

    scopes = (Scope.GENERATE,)

    @extend_schema(request=QuestionSerializer, responses={200: AnswerSerializer, **problems(400, 402, 404, 422, 503)})
    def post(self, request: Request) -> Response:
        asked = QuestionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values, principal = asked.validated_data, principal_of(request)
        if values["execute"] and Scope.EXECUTE not in principal.scopes:
            raise Problem("forbidden", "This API key lacks the scope `execute`.")
        question = Question(
            principal.team_id, values["database"], values["question"], values["session_id"], values["end_user"]
        )
        answer: Any = generation_create(principal=principal, question=question)
        runs = values["execute"] and answer.status == Generation.Status.SUCCEEDED
        answer.execution = execution_run(principal=principal, generation=answer) if runs else None
        return Response(AnswerSerializer(answer).data)


class GenerationFilter(filters.FilterSet):
    database = filters.CharFilter(field_name="database__name")
    session = filters.CharFilter(field_name="session_id")
    status = filters.ChoiceFilter(choices=Generation.Status.choices)
    cached = filters.BooleanFilter()

    class Meta:
        model = Generation
        fields = ["session", "database", "status", "cached"]


class GenerationListView(ListAPIView[Generation]):
    """Your team's generations, the newest first."""

    scopes = (Scope.READ,)
    serializer_class = GenerationSerializer
    pagination_class = NewestFirst
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = GenerationFilter
    queryset = Generation.objects.none()

    def get_queryset(self) -> QuerySet[Generation]:
        return Generation.objects.visible_to(principal_of(self.request)).select_related("database")


class GenerationView(APIView):
    scopes = (Scope.READ,)

    @extend_schema(responses={200: GenerationSerializer, **problems(404)})
    def get(self, request: Request, generation_id: UUID) -> Response:
        return Response(GenerationSerializer(generation_find(principal_of(request), generation_id)).data)


class ExecuteView(APIView):
    """Run a generation's SQL again, on the rows of now."""

    scopes = (Scope.EXECUTE,)

    @extend_schema(request=None, responses={200: ResultSerializer, **problems(404, 409, 422, 503, 504)})
    def post(self, request: Request, generation_id: UUID) -> Response:
        principal = principal_of(request)
        outcome = execution_run(principal=principal, generation=generation_find(principal, generation_id))
        if outcome.problem:
            raise outcome.problem
        return Response(ResultSerializer(outcome).data)
