"""A list as a file: the rows that are on the screen, with the same rights, written down in the audit."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from observability.services.audit import audit_record
from teams.admin.base import TeamScopedAdmin
from teams.admin.sheets import csv_lines, workbook_file
from teams.site import request_principal

LIMIT = 10_000
"""Rows of a file at most."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class ExportedAdmin(TeamScopedAdmin):
    """A page whose list may be taken along by whom the verb "export" is given to."""

    export_columns: ClassVar[Mapping[str, str]] = {}
    """What stands above each column, by the path from a row to its value."""
    list_after_template = "admin/teams/lists/exports.html"

    def get_urls(self) -> list[URLPattern]:
        place = f"{self.opts.app_label}_{self.opts.model_name}_export"
        own = [
            path(f"export.{kind}", self.admin_site.admin_view(partial(self.export, kind=kind)), name=f"{place}_{kind}")
            for kind in ("csv", "xlsx")
        ]
        return [*own, *super().get_urls()]

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.may("export", request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        told = {"may_export": self.has_export_permission(request), "export_kinds": ["csv", "xlsx"]}
        whole = {**told, "export_limit": f"{LIMIT:,}", **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, whole)
        return response

    def export(self, request: HttpRequest, kind: str) -> Any:
        """By POST, since it is written down; the query string is the list's own."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"{reverse(admin_urlname(self.opts, SafeString('changelist')))}?e=1")
        headings = list(self.export_columns.values())
        self._export_audit(request, kind, rows[: LIMIT + 1].count())
        values = rows.values_list(*self.export_columns)[:LIMIT].iterator(chunk_size=500)
        name = f"{self.opts.verbose_name_plural}-{timezone.now():%Y-%m-%d-%H%M}.{kind}".replace(" ", "-")
        if kind == "xlsx":
            return FileResponse(workbook_file(headings, values), as_attachment=True, filename=name, content_type=XLSX)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(
            csv_lines([headings], values), content_type="text/csv; charset=utf-8", headers=headers
        )

    def _export_audit(self, request: HttpRequest, kind: str, count: int) -> None:
        """Before the first row leaves, so that no file is without its entry."""
        principal = request_principal(request)
        audit_record(
            actor=principal.actor,
            verb="list.exported",
            target=self.opts.label_lower,
            # An entry has one team or none; one of several teams is for the admins.
            scope=""
            if principal.is_admin or len(principal.lead_team_ids) != 1
            else next(iter(principal.lead_team_ids)),
            data={
                "filters": {name: request.GET.getlist(name) for name in request.GET},
                "rows": min(count, LIMIT),
                "is_cut": count > LIMIT,
                "file": kind,
            },
        )
