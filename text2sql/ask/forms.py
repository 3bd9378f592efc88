from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator

from teams.access import Principal
from teams.models import Team
from teams.services.members import user_principal
from text2sql.ask.door import may_ask
from text2sql.models import Database
from text2sql.services.databases import target_probe, url_check
from text2sql.services.lead_urls import lead_url
from text2sql.services.starters import MOST_STARTERS
from text2sql.targets.errors import TargetError, UrlRejected

URL_LENGTH = 2000
STARTER_LENGTH = 300
"""Characters that the column holds."""
TAKEN = "This name is taken. Names are the same for all teams; put your team's before it, as in “%(name)s”."


class SignInForm(AuthenticationForm):
    """Whoever belongs to no team is told the same as for a wrong password."""

    def confirm_login_allowed(self, user: User) -> None:
        if not user.is_active or not may_ask(user_principal(user)):
            raise self.get_invalid_login_error()


class DatabaseForm(forms.Form):
    """A database of one team, tried out before it is taken. What was typed as its URL is never sent back."""

    team = forms.ModelChoiceField(Team.objects.none())
    name = forms.CharField(
        max_length=63,
        validators=Database._meta.get_field("name").validators,
        help_text="As people and clients name it: small letters, digits and underscores, for example sales_db.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    url = forms.CharField(
        label="URL",
        max_length=URL_LENGTH,
        help_text="For example postgresql://reader:password@db.example.com:5432/sales. It is stored encrypted and"
        " never shown again. Use a role that may only read.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    description = forms.CharField(
        max_length=500,
        required=False,
        help_text="What is in it. Claude reads this too.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, principal: Principal) -> None:
        super().__init__(data)
        self.principal = principal
        teams = Team.objects.filter(active=True).led_by(principal).order_by("name")
        only = teams[0] if teams.count() == 1 else None
        empty_label = None if only else "Choose a team"
        self.fields["team"] = forms.ModelChoiceField(teams, empty_label=empty_label, initial=only)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        # Others' are told by `clean` only, to whoever has a database to add.
        if Database.objects.visible_to(self.principal).filter(name=name).exists():
            raise ValidationError("There is a database of this name already.")
        return name

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            if not self.principal.is_admin:
                return lead_url(url)
            url_check(url)
        except UrlRejected as error:
            raise ValidationError(str(error)) from error
        return url

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            self._try_out(self.cleaned_data["url"])
        if not self.errors and Database.objects.filter(name=self.cleaned_data["name"]).exists():
            self.name_is_taken()
        return self.cleaned_data

    def name_is_taken(self) -> None:
        proposal = f"{self.cleaned_data['team'].pk}_{self.cleaned_data['name']}".replace("-", "_")
        self.add_error("name", ValidationError(TAKEN, params={"name": proposal[:63]}))

    def _try_out(self, url: str) -> None:
        try:
            probe = target_probe(url)
        except TargetError as error:
            self.add_error("url", str(error))
            return
        for warning in probe.warnings:
            self.add_error("url", warning)


class QuestionsField(forms.Field):
    """Several questions, each a field of the same name; those left empty count for nothing."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: list[str] | None) -> list[str]:
        return [" ".join(question.split()) for question in value or [] if question.strip()]

    def validate(self, value: list[str]) -> None:
        if len(value) > MOST_STARTERS:
            raise ValidationError(f"There can be {MOST_STARTERS} questions at most.")
        if any(len(question) > STARTER_LENGTH for question in value):
            raise ValidationError(f"A question may have {STARTER_LENGTH} characters.")
        for question in value:
            ProhibitNullCharactersValidator()(question)


class StartersForm(forms.Form):
    question = QuestionsField(required=False)
