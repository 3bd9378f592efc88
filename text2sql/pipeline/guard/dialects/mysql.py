"""MySQL and MariaDB."""

import re

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL

from text2sql.pipeline.guard.functions import classes
from text2sql.pipeline.guard.policy import CATALOG_SCHEMAS, KEYWORDS, Policy, names
from text2sql.pipeline.guard.refusal import GuardRefusal

MODIFIERS = frozenset({"SQL_NO_CACHE", "SQL_CACHE", "SQL_SMALL_RESULT", "SQL_BIG_RESULT", "SQL_BUFFER_RESULT"})


def check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Select):
        for modifier in node.args.get("operation_modifiers") or []:
            if str(modifier).upper() not in MODIFIERS:
                raise GuardRefusal("not_allowed", f"{modifier} is not allowed.")
    elif isinstance(node, exp.Table):
        if any(not isinstance(hint, exp.IndexTableHint) for hint in node.args.get("hints") or []):
            raise GuardRefusal("hint", "Of hints, only those that name an index are allowed.")
    elif isinstance(node, exp.Introducer) and not re.fullmatch(r"_[a-z0-9]+", str(node.this).lower()):
        raise GuardRefusal("not_allowed", "A character set must be a plain name.")


MYSQL = Policy(
    dialect="mysql",
    language=MySQL,
    functions=names("""
        adddate addtime any_value ascii bin bin_to_uuid bit_and bit_count bit_length bit_or bit_xor ceiling char
        char_length character_length charset coercibility collation compress concat_ws conv convert_tz crc32 curdate
        curtime date_add date_format date_sub datediff dayname dayofmonth dayofweek dayofyear elt export_set field
        find_in_set format format_bytes format_pico_time from_base64 from_days from_unixtime get_format greatest
        grouping hex ifnull inet_aton inet_ntoa inet6_aton inet6_ntoa insert instr interval is_ipv4 is_ipv6 is_uuid
        isnull json_array json_array_append json_array_insert json_arrayagg json_contains json_contains_path
        json_depth json_detailed json_exists json_extract json_insert json_keys json_length json_merge_patch
        json_merge_preserve json_object json_objectagg json_overlaps json_pretty json_query json_quote json_remove
        json_replace json_schema_valid json_search json_set json_storage_size json_table json_type json_unquote
        json_valid json_value last_day lcase least left length ln locate log10 log2 lower lpad ltrim make_set makedate
        maketime md5 median microsecond mid minute mod month monthname now nullif nvl nvl2 oct octet_length ord
        percentile_cont percentile_disc period_add period_diff position pow power quarter quote radians rand
        regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right round row rpad rtrim
        sec_to_time second sha sha1 sha2 sign soundex space std stddev stddev_pop stddev_samp str_to_date strcmp
        subdate substr substring substring_index subtime sysdate time time_format time_to_sec timediff timestamp
        timestampadd timestampdiff to_base64 to_char to_days to_seconds trim truncate ucase uncompress
        uncompressed_length unhex unix_timestamp upper utc_date utc_time utc_timestamp uuid uuid_short uuid_to_bin
        var_pop var_samp variance week weekday weekofyear weight_string year yearweek add_months st_area st_asgeojson
        st_astext st_aswkt st_buffer st_centroid st_contains st_crosses st_difference st_dimension st_disjoint
        st_distance st_distance_sphere st_envelope st_equals st_geohash st_geometrytype st_geomfromgeojson
        st_geomfromtext st_intersection st_intersects st_isvalid st_latitude st_length st_longitude st_makeenvelope
        st_numpoints st_overlaps st_pointfromtext st_srid st_touches st_transform st_union st_within st_x st_y point
        linestring polygon mbrcontains mbrwithin mbrintersects
    """),
    nodes=classes("IndexTableHint Introducer National JSONTable JSONSchema JSONColumnDef JSONValue OnCondition"),
    clauses={
        exp.Select: names("operation_modifiers"),
        exp.Table: names("hints"),
    },
    sources={exp.JSONTable: None},
    respells_tables=True,
    catalog_schemas=CATALOG_SCHEMAS | names("mysql performance_schema sys"),
    empty_tables=names("dual"),
    reserved=KEYWORDS
    | names("""
        change condition database databases describe div double dual elseif explain float force groups if ignore
        insert int integer interval iterate keys kill leave limit linear lines load lock long loop maxvalue mod
        modifies optimize option out outfile procedure purge range rank read reads release rename repeat replace
        require return revoke rlike row_number schema schemas separator show signal spatial sql ssl starting
        straight_join system terminated trigger undo unlock unsigned usage varchar write xor year_month zerofill lag
        lead ntile cume_dist dense_rank first_value last_value nth_value percent_rank rows recursive
    """),
    alias_clauses=names("having order"),
    shares_first=True,
    values_columns=("column_", 0),
    longest_name=256,
    check_node=check_node,
)
