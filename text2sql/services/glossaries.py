"""A team's glossary of a database: each change is a new version."""

from django.db import transaction

from observability.services.audit import audit_change
from text2sql.models import DatabaseAccess, Glossary


@transaction.atomic
def glossary_save(*, access: DatabaseAccess, text: str, actor: str) -> Glossary:
    """A new version, in force with the next question; the one in force again where nothing changed.

    Raises:
        ValidationError: It is longer than 8 KB.
    """
    locked = DatabaseAccess.objects.select_for_update(of=["self"]).select_related("database").get(pk=access.pk)
    newest = Glossary.objects.filter(access=locked).order_by("-number").first()
    text = text.strip()
    if newest is not None and newest.text == text:
        return newest
    glossary = Glossary(access=locked, number=(newest.number if newest else 0) + 1, text=text, actor=actor)
    glossary.full_clean()
    glossary.save(force_insert=True)
    locked.glossary_number = glossary.number
    locked.save(update_fields=["glossary_number"])
    audit_change(
        actor=actor,
        verb="glossary.changed",
        target=locked.database.name,
        scope=locked.team_id,
        was={"version": newest.number if newest else 0, "text": newest.text if newest else ""},
        now={"version": glossary.number, "text": text},
    )
    return glossary
