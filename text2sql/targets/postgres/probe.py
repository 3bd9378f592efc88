"""PostgreSQL: as whom we are there, and what that role may do beyond reading."""

from sqlalchemy import Connection, text

from text2sql.targets.session import EMPTINESS, Probe

SERVER = text("""
    SELECT current_setting('server_version'), current_database(), CAST(current_user AS text), pg_is_in_recovery()
""")
POWERS = text("""
    SELECT r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,
           ARRAY(SELECT CAST(g.rolname AS text) FROM pg_roles g
                 WHERE g.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
                   AND pg_has_role(g.oid, 'USAGE') ORDER BY g.rolname),
           ARRAY(SELECT CAST(n.nspname AS text) FROM pg_namespace n
                 WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
                   AND has_schema_privilege(n.oid, 'CREATE') ORDER BY n.nspname)
    FROM pg_roles r WHERE r.rolname = current_user
""")
TABLE_RIGHTS = text("""
    SELECT count(*) FILTER (WHERE has_any_column_privilege(c.oid, 'SELECT')),
           count(*) FILTER (WHERE has_any_column_privilege(c.oid, 'INSERT')
                            OR has_any_column_privilege(c.oid, 'UPDATE')
                            OR has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE'))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(n.oid, 'USAGE')
""")


def probe_postgres(connection: Connection) -> Probe:
    version, database, user, is_standby = connection.execute(SERVER).one()
    readable, writable = connection.execute(TABLE_RIGHTS).one()
    is_superuser, bypasses_row_security, creates_roles, creates_databases, file_roles, schemas = connection.execute(
        POWERS
    ).one()
    found = {
        "The role is a superuser. Use a role of its own that holds only SELECT.": is_superuser,
        f"The role may write to {writable} of the tables. Revoke INSERT, UPDATE, DELETE and TRUNCATE.": writable,
        f"The role may create objects in {', '.join(schemas)}. Revoke CREATE on these schemas.": schemas,
        f"The role holds {', '.join(file_roles)}: it reaches the server's files or programs. Revoke it.": file_roles,
        "The role ignores row-level security (BYPASSRLS).": bypasses_row_security and not is_superuser,
        "The role may create roles or databases.": (creates_roles or creates_databases) and not is_superuser,
    }
    warnings = tuple(sentence for sentence, applies in found.items() if applies) + (() if readable else (EMPTINESS,))
    read_only = is_standby or not (is_superuser or writable or schemas or creates_roles or creates_databases)
    return Probe("postgres", version, database, user, read_only, warnings)
