"""SQLite."""

from sqlglot.dialects.sqlite import SQLite

from text2sql.pipeline.guard.policy import CATALOG_SCHEMAS, Policy, names

JSON_TREE = ("key", "value", "type", "atom", "id", "parent", "fullkey", "path")

SQLITE = Policy(
    dialect="sqlite",
    language=SQLite,
    functions=names("""
        abs ceiling char coalesce concat concat_ws date datetime decimal format glob group_concat hex ifnull iif instr
        json json_array json_array_length json_each json_extract json_group_array json_group_object json_insert
        json_object json_patch json_pretty json_quote json_remove json_replace json_set json_type json_valid jsonb
        jsonb_extract julianday length like likelihood likely log10 log2 lower ltrim max median min mod nullif
        octet_length percentile percentile_cont percentile_disc power printf quote random replace round rtrim sign
        soundex string_agg strftime substr substring sum time timediff total trim trunc typeof unhex unicode unixepoch
        unlikely upper bm25 highlight snippet row
    """),
    sources={"json_each": JSON_TREE, "json_tree": JSON_TREE, "generate_series": ("value",)},
    types=None,
    default_schema="main",
    catalog_schemas=CATALOG_SCHEMAS | names("temp pg_catalog"),
    catalog_prefixes=("sqlite_", "pragma_"),
    catalog_tables=names("dbstat bytecode tables_used"),
    system_columns=names("rowid oid _rowid_"),
    alias_clauses=names("where group having order"),
    has_implicit_recursion=True,
)
