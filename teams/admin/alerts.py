"""Alerts, for the people they concern to acknowledge, and the channels they go to, for admins."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from observability.models import Alert, AlertChannel, AlertDelivery
from observability.outgoing import AddressRefused, url_check
from observability.services.alert_channels import channel_delete, channel_save, channel_test
from observability.services.alerts import alert_acknowledge
from teams.admin.base import ReadOnlyInline, TeamScopedAdmin, object_action
from teams.admin.filters import ScopeFilter
from teams.admin.records import DELIVERY_COLOURS, RecordAdmin
from teams.models import Team
from teams.site import request_principal

LEVEL_COLOURS = {"info": "info", "warning": "warning", "critical": "danger"}
EVERYTHING = "everything"


class AcknowledgedFilter(admin.EmptyFieldListFilter):
    """Django's own asks whether the field is empty; people ask whether somebody has seen it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "acknowledged"

    def choices(self, changelist: Any) -> Any:
        for choice, words in zip(super().choices(changelist), ("all", "open", "acknowledged"), strict=True):
            yield {**choice, "display": words}


class AcknowledgeForm(BaseDialogForm):
    note = forms.CharField(required=False, max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class AlertDeliveryInline(ReadOnlyInline):
    model = AlertDelivery
    fields = readonly_fields = ["shown_way", "shown_state", "tries", "next_try_at", "delivered_at", "last_error"]
    verbose_name_plural = "deliveries"
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        principal = request_principal(request)
        rows = AlertDelivery.objects.select_related("channel").order_by("created_at", "channel")
        return rows if principal.is_admin else rows.filter(alert__scope__in=principal.lead_team_ids)

    @display(description="to")
    def shown_way(self, delivery: AlertDelivery) -> str:
        if delivery.channel is None:
            return ", ".join(delivery.recipients)
        return f"{delivery.channel} ({delivery.channel.get_kind_display()})"

    @display(description="state", label=DELIVERY_COLOURS)
    def shown_state(self, delivery: AlertDelivery) -> str:
        return delivery.state


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    admin_may = lead_may = frozenset({"view", "act"})
    list_display = ["created_at", "subject", "shown_level", "kind", "scope", "shown_state", "shown_acknowledged"]
    ordering = ["-created_at"]
    list_filter = ["kind", "level", ("scope", ScopeFilter), ("acknowledged_at", AcknowledgedFilter)]
    actions_detail = ["acknowledge"]
    inlines = [AlertDeliveryInline]
    fieldsets = [
        (None, {"fields": ["subject", "shown_level", "kind", "scope", "created_at", "body", "details", "key"]}),
        ("Acknowledged", {"fields": ["acknowledged_at", "acknowledged_by", "note"]}),
    ]
    readonly_fields = ["shown_level", "created_at", "acknowledged_at", "acknowledged_by"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("deliveries")

    @object_action(
        "Acknowledge", title="Acknowledge this alert?", text="Says to the others that somebody takes care of it.",
        submit="Acknowledge", icon="check", form_class=AcknowledgeForm,
    )  # fmt: skip
    def acknowledge(self, request: HttpRequest, alert: Alert, form: Any) -> str:
        note = form.cleaned_data["note"]
        if alert_acknowledge(alert=alert, actor=request_principal(request).actor, note=note):
            messages.success(request, "The alert is acknowledged.")
        else:
            messages.warning(request, f"It was acknowledged before, by {alert.acknowledged_by}.")
        return reverse("admin:observability_alert_change", args=[alert.pk])

    @display(description="level", label=LEVEL_COLOURS, ordering="level")
    def shown_level(self, alert: Alert) -> str:
        return alert.level

    @display(description="sent", label=DELIVERY_COLOURS)
    def shown_state(self, alert: Alert) -> str:
        """The worst of its deliveries."""
        states = {delivery.state for delivery in alert.deliveries.all()}
        return next((state for state in ("failed", "claimed", "pending", "delivered") if state in states), "–")

    @display(description="acknowledged", boolean=True)
    def shown_acknowledged(self, alert: Alert) -> bool:
        return alert.acknowledged_at is not None


class SecretInput(UnfoldAdminTextInputWidget):
    """What was typed is never sent back, not even with a form's errors."""

    def format_value(self, value: Any) -> None:
        return None


class AddressesField(forms.Field):
    """E-mail addresses, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(value or [])

    def to_python(self, value: Any) -> list[str]:
        return list(dict.fromkeys((value or "").split()))

    def validate(self, value: Any) -> None:
        super().validate(value)
        for address in value:
            validate_email(address)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


class AlertChannelForm(forms.ModelForm[AlertChannel]):
    addresses = AddressesField(required=False, help_text="One a line; for the kind e-mail.")
    url = forms.CharField(
        label="URL",
        required=False,
        widget=SecretInput(attrs={"autocomplete": "off", "placeholder": "https://hooks.slack.com/services/…"}),
        help_text="For the kinds Slack (an incoming webhook) and webhook. Stored encrypted and never shown again.",
    )
    scope = forms.ChoiceField(
        label="Alerts of", required=False, widget=UnfoldAdminSelectWidget, help_text="A team's alerts, or all of them."
    )

    class Meta:
        model = AlertChannel
        fields = ["name", "kind", "addresses", "url", "scope", "minimum_level", "enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = [(team.pk, team.name) for team in Team.objects.order_by("name")]
        self.fields["scope"].choices = [("", EVERYTHING), *teams]  # type: ignore[attr-defined]  # it is a ChoiceField
        if not self.instance._state.adding:
            self.fields["url"].help_text += " Leave it empty to keep the stored one."

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        if url:
            try:
                url_check(url)
            except AddressRefused as error:
                raise ValidationError(str(error)) from error
        return url

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        by_mail = (cleaned.get("kind") or self.instance.kind) == AlertChannel.Kind.EMAIL
        needed = {"addresses": by_mail, "url": not by_mail and self.instance._state.adding}
        for name, is_needed in needed.items():
            if is_needed and not cleaned.get(name) and name not in self.errors:
                self.add_error(name, "This kind of channel needs it.")
        other = "url" if by_mail else "addresses"
        if cleaned.get(other):
            self.add_error(other, "This kind of channel has none.")
        return cleaned


@admin.register(AlertChannel)
class AlertChannelAdmin(TeamScopedAdmin):
    """Where alerts go besides the people they name."""

    form = AlertChannelForm
    admin_may = frozenset({"view", "add", "change", "delete", "act"})
    list_display = ["name", "kind", "shown_scope", "minimum_level", "enabled", "created_at"]
    list_filter = ["kind", "enabled"]
    ordering = ["name"]
    actions_row = ["test"]
    actions_detail = ["test"]

    def get_readonly_fields(self, request: HttpRequest, obj: AlertChannel | None = None) -> list[str]:
        return ["kind"] if obj else []

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # What follows a new webhook is the page that shows its secret, whichever button was pressed.
        only_save = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **only_save}
        )
        return page

    def save_model(self, request: HttpRequest, obj: AlertChannel, form: Any, change: bool) -> None:
        secret = channel_save(obj, url=form.cleaned_data["url"], actor=request_principal(request).actor)
        request._issued_secret = secret  # type: ignore[attr-defined]  # noqa: SLF001  # for response_add, in this request

    def response_add(
        self, request: HttpRequest, obj: AlertChannel, post_url_continue: str | None = None
    ) -> HttpResponse:
        """For a webhook the one page that ever shows its secret."""
        secret: str = request._issued_secret  # type: ignore[attr-defined]  # noqa: SLF001  # set by save_model
        if not secret:
            answer: HttpResponse = super().response_add(request, obj, post_url_continue)
            return answer
        context = {
            **self.admin_site.each_context(request),
            "title": "The new webhook's secret",
            "opts": self.opts,
            "channel": obj,
            "secret": secret,
        }
        response = TemplateResponse(request, "admin/observability/alertchannel/issued.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    def delete_model(self, request: HttpRequest, obj: AlertChannel) -> None:
        channel_delete(obj, actor=request_principal(request).actor)

    @object_action(
        "Send a test",
        title="Send a test to this channel?",
        text="It goes out at once, the way alerts do.",
        submit="Send",
        icon="send",
    )
    def test(self, request: HttpRequest, channel: AlertChannel, form: Any) -> str:
        error = channel_test(channel, actor=request_principal(request).actor)
        if error:
            messages.error(request, f"{channel}: the test was not taken: {error}")
        else:
            messages.success(request, f"{channel}: the test was taken.")
        return reverse("admin:observability_alertchannel_change", args=[channel.pk])

    @display(description="alerts of")
    def shown_scope(self, channel: AlertChannel) -> str:
        return channel.scope or EVERYTHING
