from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from teams.access import Principal, Scope
from text2sql.api.asked import asked_read, is_async
from text2sql.api.auth import principal_of
from text2sql.api.headers import budget_headers, replay_headers
from text2sql.api.lines import csv_response
from text2sql.api.pagination import NewestFirst
from text2sql.api.renderers import CsvRenderer, EventStreamRenderer, speaks
from text2sql.api.schema import ASKING_HEADERS, ASKING_RESPONSES, ROWS_RESPONSES, problems
from text2sql.api.serializers import GenerationSerializer, QuestionSerializer, ResultSerializer, answer_document
from text2sql.api.streams import stream_response
from text2sql.models import Generation
from text2sql.problems import Problem, not_found
from text2sql.services.executions import execution_run
from text2sql.services.questions import question_answer, question_queue


def generation_find(principal: Principal, generation_id: UUID) -> Generation:
    """Raises Problem `not-found`, for another team's as for none."""
    rows = Generation.objects.visible_to(principal).select_related("database")
    if (generation := rows.filter(pk=generation_id).first()) is None:
        raise not_found("generation")
    return generation


class GenerateView(APIView):
    """Turn a question into SQL, and into rows where `execute` asks for them."""

    scopes = (Scope.GENERATE,)
    renderer_classes = [JSONRenderer, EventStreamRenderer]

    @extend_schema(request=QuestionSerializer, parameters=ASKING_HEADERS, responses=ASKING_RESPONSES)
    def post(self, request: Request) -> HttpResponseBase:
        asked = asked_read(request)
        if speaks(request, EventStreamRenderer):
            return stream_response(asked)
        if is_async(request):
            return queued_response(question_queue(asked), replay_headers(asked))
        document = answer_document(question_answer(asked))
        return Response(document, headers=replay_headers(asked) | budget_headers(asked.principal))


def queued_response(generation: Generation, told: dict[str, str]) -> Response:
    """202 and where to look; the answer itself where it has come already."""
    document = GenerationSerializer(generation).data
    if not generation.is_unfinished:
        return Response(document, headers=told)
    where = {"Location": reverse("generation", args=[generation.pk]), "Preference-Applied": "respond-async"}
    return Response(document, status=202, headers=told | where | RETRY_SOON)


RETRY_SOON = {"Retry-After": "1"}


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
    """One generation; `Retry-After` says that it is not finished."""

    scopes = (Scope.READ,)

    @extend_schema(responses={200: GenerationSerializer, **problems(404)})
    def get(self, request: Request, generation_id: UUID) -> Response:
        generation = generation_find(principal_of(request), generation_id)
        headers = RETRY_SOON if generation.is_unfinished else {}
        return Response(GenerationSerializer(generation).data, headers=headers)


class ExecuteView(APIView):
    """Run a generation's SQL again, on the rows of now."""

    scopes = (Scope.EXECUTE,)
    renderer_classes = [JSONRenderer, CsvRenderer]

    @extend_schema(request=None, responses=ROWS_RESPONSES)
    def post(self, request: Request, generation_id: UUID) -> HttpResponseBase:
        principal = principal_of(request)
        outcome = execution_run(principal=principal, generation=generation_find(principal, generation_id))
        if outcome.result is None:
            raise outcome.problem or Problem("execution-failed", "The query brought no rows.")
        if speaks(request, CsvRenderer):
            return csv_response(outcome, outcome.result)
        return Response(ResultSerializer(outcome).data)
