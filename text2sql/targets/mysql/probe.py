"""MySQL and MariaDB: as whom we are there, and what that role may do beyond reading."""

from sqlalchemy import Connection, text

from text2sql.targets.session import EMPTINESS, Probe

SERVER = text("SELECT version(), database(), current_user()")
# Each of these shows the role's own rights only.
RIGHTS = text("""
    SELECT privilege_type FROM information_schema.user_privileges
    UNION SELECT privilege_type FROM information_schema.schema_privileges
    UNION SELECT privilege_type FROM information_schema.table_privileges
    UNION SELECT privilege_type FROM information_schema.column_privileges
""")
READABLE = text("""
    SELECT count(*) FROM information_schema.columns
    WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
      AND FIND_IN_SET('select', privileges) > 0
""")
WRITING = frozenset({"INSERT", "UPDATE", "DELETE"})
CREATING = frozenset({"CREATE", "ALTER", "DROP", "CREATE VIEW", "CREATE ROUTINE", "TRIGGER", "EVENT", "INDEX"})
ADMINISTERING = frozenset({"SUPER", "CREATE USER", "GRANT OPTION", "SHUTDOWN", "READ_ONLY ADMIN", "READ ONLY ADMIN"})


def probe_mysql(connection: Connection) -> Probe:
    version, database, user = connection.execute(SERVER).one()
    rights = set(connection.scalars(RIGHTS))
    found = {
        "The role may administer the server. Use a role of its own that holds only SELECT.": ADMINISTERING,
        "The role may write. Revoke INSERT, UPDATE and DELETE.": WRITING,
        "The role may create or change tables, views or routines. Revoke it.": CREATING,
        "The role holds FILE: it reaches the server's files. Revoke it.": frozenset({"FILE"}),
        "The role may lock tables. Revoke LOCK TABLES.": frozenset({"LOCK TABLES"}),
    }
    warnings = tuple(sentence for sentence, powers in found.items() if powers & rights)
    read_only = not rights & (WRITING | CREATING | ADMINISTERING)
    return Probe(
        dialect="mysql",
        server_version=version,
        database=database,
        user=user,
        read_only=read_only,
        warnings=warnings if connection.scalar(READABLE) else (*warnings, EMPTINESS),
    )
