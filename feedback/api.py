from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback.models import Feedback
from feedback.services import Opinion, feedback_give
from teams.access import Scope
from text2sql.api.auth import principal_of
from text2sql.api.schema import problems
from text2sql.api.views.generations import generation_find


class OpinionSerializer(serializers.Serializer[Any]):
    rating = serializers.ChoiceField(choices=["up", "down"])
    comment = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
    corrected_sql = serializers.CharField(max_length=20_000, required=False, default="", allow_blank=True)
    end_user = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class FeedbackSerializer(serializers.ModelSerializer[Feedback]):
    class Meta:
        model = Feedback
        fields = ["id", "rating", "comment", "corrected_sql", "author", "state", "created_at", "updated_at"]


class FeedbackView(APIView):
    """Say whether an answer was right. One voice per end user (else per key); the last word wins."""

    scopes = (Scope.GENERATE,)

    @extend_schema(request=OpinionSerializer, responses={200: FeedbackSerializer, **problems(400, 404)})
    def post(self, request: Request, generation_id: UUID) -> Response:
        given = OpinionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        principal = principal_of(request)
        generation = generation_find(principal, generation_id)
        feedback = feedback_give(principal=principal, generation=generation, opinion=Opinion(**given.validated_data))
        return Response(FeedbackSerializer(feedback).data)
