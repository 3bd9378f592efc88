from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback.models import Feedback
from feedback.services.opinions import Opinion, feedback_give
from teams.access import Scope
from text2sql.api.auth import principal_of
from text2sql.api.pagination import NewestFirst
from text2sql.api.schema import problems
from text2sql.api.views.generations import generation_find
from text2sql.services.checking import SQL_LENGTH


class OpinionSerializer(serializers.Serializer[Any]):
    rating = serializers.ChoiceField(choices=["up", "down"])
    comment = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
    corrected_sql = serializers.CharField(
        max_length=SQL_LENGTH, required=False, default="", allow_blank=True,
        help_text="What would have been right. It is checked as an answer is; see `findings`.",
    )  # fmt: skip
    end_user = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True,
        help_text="Who says so; else the generation's `end_user`, else the API key.",
    )  # fmt: skip


class FindingSerializer(serializers.Serializer[Any]):
    severity = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    closest = serializers.ListField(child=serializers.CharField(), help_text="Names that may have been meant.")


class FeedbackSerializer(serializers.ModelSerializer[Feedback]):
    generation_id = serializers.UUIDField()
    question = serializers.CharField(source="generation.question")
    database = serializers.CharField(source="generation.database.name")
    findings = serializers.SerializerMethodField(help_text="What keeps `corrected_sql` from running; empty: nothing.")
    example_id = serializers.UUIDField(allow_null=True, help_text="The example that a lead made of it.")

    class Meta:
        model = Feedback
        fields = [
            "id", "generation_id", "question", "database", "rating", "comment", "corrected_sql", "findings", "author",
            "state", "review_note", "example_id", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, feedback: Feedback) -> list[dict[str, Any]]:
        return [feedback.finding] if feedback.finding else []


class GiveFeedbackView(APIView):
    """Say whether an answer was right. One voice per end user (else per key); the last word wins."""

    scopes = (Scope.GENERATE,)

    @extend_schema(request=OpinionSerializer, responses={200: FeedbackSerializer, **problems(400, 404, 409)})
    def post(self, request: Request, generation_id: UUID) -> Response:
        given = OpinionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        principal = principal_of(request)
        generation = generation_find(principal, generation_id)
        feedback = feedback_give(principal=principal, generation=generation, opinion=Opinion(**given.validated_data))
        return Response(FeedbackSerializer(feedback).data)


class FeedbackFilter(filters.FilterSet):
    database = filters.CharFilter(field_name="generation__database__name")
    generation = filters.UUIDFilter(field_name="generation_id")
    rating = filters.ChoiceFilter(choices=Feedback.Rating.choices)
    state = filters.ChoiceFilter(choices=Feedback.State.choices)

    class Meta:
        model = Feedback
        fields = ["rating", "state", "database", "generation"]


class FeedbackListView(ListAPIView[Feedback]):
    """What was said about your team's answers and what became of it, the newest first."""

    scopes = (Scope.READ,)
    serializer_class = FeedbackSerializer
    pagination_class = NewestFirst
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = FeedbackFilter
    queryset = Feedback.objects.none()

    def get_queryset(self) -> QuerySet[Feedback]:
        return Feedback.objects.visible_to(principal_of(self.request)).select_related("generation__database")
