"""What a key may know of itself and its team: identity, usage, budget."""

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from teams.access import Scope
from teams.models import ApiKey, Team
from teams.services.windows import budgets_applying, windows_open
from text2sql.api.auth import principal_of
from text2sql.api.schema import problems
from text2sql.api.serializers import BudgetSerializer, MeSerializer, UsagePeriodSerializer, UsageSerializer
from text2sql.services.clients import claude_name
from text2sql.services.usage import usage_sum


class MeView(APIView):
    """The key in use and its team."""

    scopes = ()

    @extend_schema(responses={200: MeSerializer, **problems()})
    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        key = ApiKey.objects.visible_to(principal).select_related("team").get(pk=str(principal.api_key_id))
        document = {
            "team": key.team_id,
            "team_name": key.team.name,
            "time_zone": key.team.time_zone.key,
            "key": str(key),
            "scopes": key.scopes,
            "expires_at": key.expires_at,
            "model": key.team.model or settings.CLAUDE_MODEL,
            "answered_by": claude_name(),
        }
        return Response(MeSerializer(document).data)


class UsageView(APIView):
    """What your team asked and what it cost, by day and by database."""

    scopes = (Scope.READ,)

    @extend_schema(parameters=[UsagePeriodSerializer], responses={200: UsageSerializer, **problems(400)})
    def get(self, request: Request) -> Response:
        asked = UsagePeriodSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        principal = principal_of(request)
        team = Team.objects.visible_to(principal).get(pk=principal.team_id)
        today = timezone.now().astimezone(team.time_zone).date()
        last = asked.validated_data.get("to", today)
        first = asked.validated_data.get("from", last.replace(day=1))
        return Response(UsageSerializer(usage_sum(team=team, first_day=first, last_day=last)).data)


class BudgetView(APIView):
    """The budgets that apply to your key, in their present windows; an empty list means that there is no limit."""

    scopes = (Scope.READ,)

    @extend_schema(responses={200: BudgetSerializer(many=True), **problems()})
    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        budgets = budgets_applying(team_id=principal.team_id, api_key_id=principal.api_key_id)
        return Response(BudgetSerializer(windows_open(budgets, at=timezone.now()), many=True).data)
