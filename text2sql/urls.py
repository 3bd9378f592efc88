"""The outer doors. Apps are named by string, so that this module imports none of them."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(url="/ask/"), name="home"),
    path("", include("observability.urls")),
    path("api/v1/", include("text2sql.api.urls")),
    path("api/v1/", include("feedback.urls")),
    path("ask/", include("text2sql.ask.urls")),
    path("ask/", include("feedback.ask_urls")),
    path("admin/spending/", include("text2sql.admin.spending")),
    path("admin/feedback-analysis/", include("feedback.admin.analysis")),
    path("admin/answer-cache/", include("text2sql.admin.answer_cache")),
    path("admin/sessions/", include("text2sql.admin.sessions")),
    path("admin/savings/", include("text2sql.admin.savings")),
    path("admin/", admin.site.urls),
]
