"""SQL Server."""

from sqlglot import exp
from sqlglot.dialects import tsql

from text2sql.pipeline.guard.functions import classes
from text2sql.pipeline.guard.policy import CATALOG_SCHEMAS, KEYWORDS, Policy, names
from text2sql.pipeline.guard.refusal import GuardRefusal

# No semicolon is needed between two statements: such a word, unquoted, would begin the next one.
STATEMENTS = names("""
    add alter authorization backup begin break browse bulk checkpoint close commit continue create dbcc deallocate
    declare delete deny disable disk drop dump enable end exec execute exit external fetch freetext go goto grant if
    insert into kill lineno load merge move open openquery openrowset opendatasource print proc procedure raiserror
    read readtext reconfigure restore restrict return revert revoke rollback save select send set setuser shutdown
    statistics throw trigger truncate update updatetext use waitfor while writetext receive
""")
HARMLESS_HINTS = frozenset({"NOLOCK", "READUNCOMMITTED", "NOEXPAND"})
DEEPEST_RECURSION = 32_767
SYSTEM_TABLES = names("""
    sysaltfiles syscacheobjects syscharsets syscolumns syscomments sysconfigures sysconstraints syscurconfigs
    sysdatabases sysdepends sysdevices sysfilegroups sysfiles sysforeignkeys sysfulltextcatalogs sysindexes
    sysindexkeys syslanguages syslockinfo syslogins sysmembers sysmessages sysobjects sysoledbusers sysopentapes
    sysperfinfo syspermissions sysprocesses sysprotects sysreferences sysremotelogins syssegments sysservers systypes
    sysusers
""")


def check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Identifier):
        if not node.args.get("quoted") and node.name.lower() in STATEMENTS:
            raise GuardRefusal("not_one_statement", f'"{node.name}" would begin a statement. Write [{node.name}].')
    elif isinstance(node, exp.WithTableHint):
        if any(str(hint.name).upper() not in HARMLESS_HINTS for hint in node.expressions):
            raise GuardRefusal("hint", "Of table hints, only NOLOCK, READUNCOMMITTED and NOEXPAND are allowed.")
    elif isinstance(node, exp.Select):
        for option in node.args.get("options") or []:
            _check_option(option)
    elif isinstance(node, exp.ForClause) and str(node.args.get("kind")).upper() not in {"XML", "JSON"}:
        raise GuardRefusal("not_allowed", "FOR can only be followed by XML or JSON.")
    elif isinstance(node, exp.Lateral) and node.args.get("cross_apply") is None:
        raise GuardRefusal("not_allowed", "Write CROSS APPLY or OUTER APPLY.")


def _check_option(option: exp.Expr) -> None:
    bound = option.args.get("expression")
    number = int(bound.name) if isinstance(bound, exp.Literal) and bound.name.isdigit() else -1
    # 0 lifts the bound; that the recursion ends by itself is checked for every dialect.
    if option.name.upper() != "MAXRECURSION" or not 0 <= number <= DEEPEST_RECURSION:
        raise GuardRefusal("hint", f"Of OPTION, only MAXRECURSION from 0 to {DEEPEST_RECURSION} is allowed.")


TSQL = Policy(
    dialect="tsql",
    language=tsql.TSQL,
    functions=names("""
        abs acos approx_count_distinct approx_percentile_cont approx_percentile_disc ascii asin atan atn2 avg
        binary_checksum bit_count cast ceiling char charindex checksum checksum_agg choose coalesce compress concat
        concat_ws cos cot count count_big cume_dist current_timestamp current_timezone datalength date_bucket dateadd
        datediff datediff_big datefromparts datename datepart datetime2fromparts datetimefromparts
        datetimeoffsetfromparts datetrunc day decompress degrees difference edit_distance edit_distance_similarity
        eomonth exp floor format get_bit getdate getutcdate greatest grouping grouping_id hashbytes iif isdate isjson
        isnull isnumeric jaro_winkler_distance jaro_winkler_similarity json_array json_arrayagg json_contains
        json_modify json_object json_objectagg json_path_exists json_query json_value least left left_shift len log
        log10 lower ltrim month nchar newid nullif parse parsename patindex percentile_cont percentile_disc pi power
        quotename radians rand regexp_count regexp_instr regexp_like regexp_replace regexp_substr replace replicate
        reverse right right_shift round rtrim set_bit sign sin smalldatetimefromparts soundex space sqrt square stdev
        stdevp str string_agg string_escape stuff substring sum switchoffset sysdatetime sysdatetimeoffset
        sysutcdatetime tan timefromparts todatetimeoffset translate trim try_cast try_convert try_parse unicode upper
        var varp year
    """),
    nodes=classes("""
        ForClause QueryOption XMLKeyValueOption WithTableHint National OpenJSON OpenJSONColumnDef Pivot
    """),
    clauses={
        exp.Select: names("options for_"),
        exp.Table: names("hints pivots"),
        exp.Subquery: names("pivots"),
    },
    sources={
        "string_split": ("value", "ordinal"),
        "generate_series": ("value",),
        exp.GenerateSeries: ("value",),
        exp.OpenJSON: ("key", "value", "type"),
    },
    types=names("sysname hierarchyid geography geometry rowversion sql_variant json vector"),
    respells_tables=True,
    default_schema="dbo",
    catalog_schemas=CATALOG_SCHEMAS | names("sys"),
    catalog_databases=names("master msdb tempdb model resource mssqlsystemresource"),
    catalog_prefixes=("#",),
    catalog_tables=SYSTEM_TABLES,
    reserved=KEYWORDS | STATEMENTS | names("key index percent pivot unpivot plan public file file_name rule schema"),
    bare_functions=names("current_user session_user system_user user"),
    groups_by_alias=False,
    has_implicit_recursion=True,
    longest_name=256,
    check_node=check_node,
)
