"""Prices: edited one by one or imported as a list, by admins only; every change is audited with old and new values."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from observability.models import Price
from observability.services.price_lists import (
    LONGEST,
    PriceListInvalid,
    price_delete,
    price_list_apply,
    price_list_compare,
    price_list_digest,
    price_list_read,
    price_save,
)
from teams.admin.base import TeamScopedAdmin
from teams.site import request_principal


class PriceListForm(forms.Form):
    """A file to look through, or the text of one that was looked through, with the digest of what was shown."""

    file = forms.FileField(required=False)
    text = forms.CharField(required=False, strip=False)
    digest = forms.CharField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if file := cleaned.get("file"):
            try:
                cleaned["text"] = file.read(LONGEST * 4).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise ValidationError({"file": "The file is no text in UTF-8."}) from error
        elif not cleaned.get("text"):
            raise ValidationError({"file": "Choose a file."})
        try:
            cleaned["rows"] = price_list_read(cleaned["text"])
        except PriceListInvalid as error:
            raise ValidationError({"file": str(error)}) from error
        return cleaned


@admin.register(Price)
class PriceAdmin(TeamScopedAdmin):
    """USD per million tokens. A new price is a new row from its date on: what was charged stays as it was."""

    list_display = ["model", "effective_from", "above_tokens", "input", "output", "cache_read", "status", "retires_on"]
    list_filter = ["status"]
    search_fields = ["model"]
    search_help_text = "Searches models."
    list_before_template = "admin/observability/price/list_before.html"

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: Any) -> None:
        price_save(obj, actor=request_principal(request).actor)

    def delete_model(self, request: HttpRequest, obj: Price) -> None:
        price_delete(obj, actor=request_principal(request).actor)

    def get_urls(self) -> list[URLPattern]:
        own = path("import/", self.admin_site.admin_view(self.import_view), name="observability_price_import")
        return [own, *super().get_urls()]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """First what the list would do, then, confirmed, its doing."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = PriceListForm(request.POST, request.FILES) if request.method == "POST" else PriceListForm()
        if not (form.is_bound and form.is_valid()):
            return self._import_page(request, form=form)
        rows, digest = form.cleaned_data["rows"], form.cleaned_data["digest"]
        if digest and not form.cleaned_data["file"]:
            applied = price_list_apply(rows, digest=digest, actor=request_principal(request).actor)
            if applied is not None:
                written = sum(change.kind != "unchanged" for change in applied)
                messages.success(request, f"Prices imported: {written} written, {len(applied) - written} unchanged.")
                return redirect("admin:observability_price_changelist")
            messages.warning(request, "The prices have changed since you looked. Look again.")
        changes = price_list_compare(rows)
        return self._import_page(
            request,
            text=form.cleaned_data["text"],
            digest=price_list_digest(changes),
            changes=[
                {
                    "price": change.price,
                    "kind": change.kind,
                    "lines": [(name, change.was.get(name), value) for name, value in change.now.items()],
                }
                for change in changes
            ],
            **{kind: sum(change.kind == kind for change in changes) for kind in ("added", "changed", "unchanged")},
        )

    def _import_page(self, request: HttpRequest, **context: Any) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Import prices", **context}
        return TemplateResponse(request, "admin/observability/price/import.html", whole)
