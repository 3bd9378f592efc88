"""The thumbs on the page to ask."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from feedback.api import FeedbackSerializer, OpinionSerializer
from feedback.services.opinions import Opinion, feedback_give
from text2sql.api.auth import principal_of
from text2sql.ask.conversations import generation_own
from text2sql.ask.door import AskView


class AskFeedbackView(AskView):
    """Say whether one's own answer was right. A signed-in person speaks for nobody else."""

    def post(self, request: Request, team_id: str, name: str, generation_id: UUID) -> Response:
        given = OpinionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        opinion, principal = Opinion(**{**given.validated_data, "end_user": ""}), principal_of(request)
        generation = generation_own(principal, team_id=team_id, name=name, generation_id=generation_id)
        feedback = feedback_give(principal=principal, generation=generation, opinion=opinion)
        return Response(FeedbackSerializer(feedback).data)
