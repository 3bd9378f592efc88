"""The outer doors. Apps are named by string, so that this module imports none of them."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/"), name="home"),
    path("", include("observability.urls")),
    path("api/v1/", include("text2sql.api.urls")),
    path("api/v1/", include("feedback.urls")),
    path("admin/spending/", include("text2sql.admin.spending")),
    path("admin/", admin.site.urls),
]
