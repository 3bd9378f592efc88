"""Who may set a database up on this page: see how its tables are read, and choose its starter questions."""

from teams.access import Principal
from text2sql.models import DatabaseAccess


def access_to_set_up(principal: Principal, team_id: str, name: str) -> DatabaseAccess | None:
    """None where the team has no such database, or the person may not.

    How many tables there are and which questions come first is told of the database as a whole. So a lead may only
    where it is open to nobody but the teams that they lead, and all of it: else it would tell of tables that are closed
    to the team, and change what other teams are shown.
    """
    if "\0" in name:  # no text in PostgreSQL has one
        return None
    opened = DatabaseAccess.objects.led_by(principal).filter(team=team_id, team__active=True, database__name=name)
    access = opened.select_related("team", "database__catalog").first()
    if access is None or principal.is_admin:
        return access
    own = DatabaseAccess.objects.led_by(principal).filter(tables=[], hidden_columns=[], row_filters={})
    others = DatabaseAccess.objects.filter(database=access.database).exclude(pk__in=own.values("pk"))
    return None if others.exists() else access
