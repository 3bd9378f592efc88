from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from text2sql.api.views.account import BudgetView, MeView, UsageView
from text2sql.api.views.databases import DatabaseListView, DatabaseSchemaView, DatabaseSuggestionsView
from text2sql.api.views.generations import ExecuteView, GenerateView, GenerationListView, GenerationView

urlpatterns = [
    path("generate", GenerateView.as_view(), name="generate"),
    path("generations", GenerationListView.as_view(), name="generation-list"),
    path("generations/<uuid:generation_id>", GenerationView.as_view(), name="generation"),
    path("generations/<uuid:generation_id>/execute", ExecuteView.as_view(), name="generation-execute"),
    path("databases", DatabaseListView.as_view(), name="database-list"),
    path("databases/<str:name>/schema", DatabaseSchemaView.as_view(), name="database-schema"),
    path("databases/<str:name>/suggestions", DatabaseSuggestionsView.as_view(), name="database-suggestions"),
    path("usage", UsageView.as_view(), name="usage"),
    path("budget", BudgetView.as_view(), name="budget"),
    path("me", MeView.as_view(), name="me"),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="openapi", template_name="api/docs.html"), name="docs"),
]
