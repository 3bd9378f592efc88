"""How the admin looks: django-unfold's dictionary. The menu shows a person only what they may open."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may_open(model: str) -> Callable[[HttpRequest], bool]:
    def check(request: HttpRequest) -> bool:
        from django.apps import apps  # noqa: PLC0415  # settings are read before the apps are
        from django.contrib import admin  # noqa: PLC0415  # likewise

        return bool(admin.site.get_model_admin(apps.get_model(model)).has_view_permission(request))

    return check


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    link = reverse_lazy(f"admin:{model.lower().replace('.', '_')}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": _may_open(model)}


# How much waits for the person's review.
WAITING = {"badge": "feedback.admin.badge.feedback_waiting", "badge_variant": "info"}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Text to SQL",
    "SITE_HEADER": "Text to SQL",
    "SITE_URL": None,  # there is no site besides this one to return to
    "SITE_SYMBOL": "database_search",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    # Unfold's own shade of links is too dark to be read well on a dark page.
    "COLORS": {"primary": {"500": "oklch(71.4% .203 305.504)"}},
    "STYLES": [lambda request: static("teams/links.css")],
    "DASHBOARD_CALLBACK": "text2sql.admin.overview.overview_add",
    "ENVIRONMENT": "text2sql.settings_admin.environment",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Answers",
                "items": [
                    _item("Generations", "forum", "text2sql.Generation"),
                    _item("Feedback", "rate_review", "feedback.Feedback") | WAITING,
                    {
                        "title": "Feedback analysis",
                        "icon": "sentiment_satisfied",
                        "link": reverse_lazy("feedback_analysis"),
                        "permission": _may_open("feedback.Feedback"),
                    },
                    _item("Evaluations", "grading", "text2sql.EvaluationRun"),
                    _item("Evaluated questions", "quiz", "text2sql.EvaluationItem"),
                    _item("Evaluation plans", "event_repeat", "text2sql.EvaluationPlan"),
                    _item("Examples", "verified", "text2sql.Example"),
                    _item("Databases", "database", "text2sql.Database"),
                    _item("Descriptions", "label", "text2sql.SchemaNote"),
                    _item("Glossaries", "menu_book", "text2sql.Glossary"),
                ],
            },
            {
                "title": "Money",
                "items": [
                    _item("Budgets", "savings", "teams.Budget"),
                    {
                        "title": "Spending",
                        "icon": "monitoring",
                        "link": reverse_lazy("spending"),
                        "permission": _may_open("teams.Team"),
                    },
                    {
                        "title": "Answer cache",
                        "icon": "cached",
                        "link": reverse_lazy("answer_cache"),
                        "permission": _may_open("teams.Team"),
                    },
                    {
                        "title": "Where to save",
                        "icon": "content_cut",
                        "link": reverse_lazy("savings"),
                        "permission": _may_open("teams.Team"),
                    },
                    _item("Charges", "receipt_long", "teams.Charge"),
                    _item("Prices", "sell", "observability.Price"),
                    _item("Model limits", "compress", "teams.ModelLimit"),
                    _item("Langfuse beside our ledger", "balance", "teams.LangfuseDay"),
                    _item("Budget checks", "fact_check", "teams.BudgetCheck"),
                    _item("Alerts", "notifications", "observability.Alert"),
                    _item("Alert channels", "campaign", "observability.AlertChannel"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _item("Teams", "groups", "teams.Team"),
                    _item("API keys", "key", "teams.ApiKey"),
                    _item("Users", "person", "auth.User"),
                ],
            },
            {
                "title": "Behind the scenes",
                "items": [
                    _item("Traces", "timeline", "observability.Trace"),
                    _item("Scores", "thumbs_up_down", "observability.Score"),
                    _item("Managed prompts", "description", "observability.ManagedPrompt"),
                    _item("Schedules", "schedule", "observability.Schedule"),
                    _item("Audit entries", "history", "observability.AuditEntry"),
                ],
            },
        ],
    },
}


def environment(request: HttpRequest) -> list[str]:
    """The badge in the corner, so that production is never mistaken for anything else."""
    from django.conf import settings  # noqa: PLC0415  # settings are being read when this module is imported

    return ["Trying out", "info"] if settings.DEBUG else ["Production", "danger"]
