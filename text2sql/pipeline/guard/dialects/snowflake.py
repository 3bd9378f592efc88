"""Snowflake."""

import re

from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake

from text2sql.pipeline.guard.functions import classes
from text2sql.pipeline.guard.policy import CATALOG_SCHEMAS, KEYWORDS, Policy, names
from text2sql.pipeline.guard.refusal import GuardRefusal

FLATTENED = ("seq", "key", "path", "index", "value", "this")
SPLIT = ("seq", "index", "value")


def check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Generator) and node.args.get("timelimit") is not None:
        raise GuardRefusal("too_large", "Say with ROWCOUNT how many rows GENERATOR gives.")
    if isinstance(node, exp.Column) and node.name.lower() in {"nextval", "currval"}:
        raise GuardRefusal("function_not_allowed", "Sequences are not allowed.")
    if isinstance(node, exp.Connect):
        condition = node.args.get("connect")
        if not isinstance(condition, exp.Expr) or condition.find(exp.Prior) is None:
            raise GuardRefusal("unbounded_recursion", "CONNECT BY needs PRIOR.")


SNOWFLAKE = Policy(
    dialect="snowflake",
    language=Snowflake,
    functions=names("""
        abs add_months any_value approx_count_distinct approx_percentile approx_top_k array_agg array_append array_cat
        array_compact array_construct array_construct_compact array_contains array_distinct array_except array_flatten
        array_generate_range array_insert array_intersection array_max array_min array_position array_prepend
        array_remove array_remove_at array_reverse array_size array_slice array_sort array_to_string array_union_agg
        array_unique_agg arrays_overlap arrays_to_object arrays_zip as_array as_binary as_boolean as_char as_date
        as_decimal as_double as_integer as_number as_object as_real as_time as_timestamp_ltz as_timestamp_ntz
        as_timestamp_tz as_varchar ascii base64_decode_binary base64_decode_string base64_encode bit_length bitand
        bitand_agg bitmap_bit_position bitmap_bucket_number bitmap_construct_agg bitmap_count bitmap_or_agg bitnot
        bitor bitor_agg bitshiftleft bitshiftright bitxor bitxor_agg booland booland_agg boolnot boolor boolor_agg
        boolxor boolxor_agg bround cbrt ceil ceiling charindex check_json check_xml chr coalesce collate collation
        concat concat_ws conditional_change_event conditional_true_event contains convert_timezone corr cos count
        count_if covar_pop covar_samp cume_dist date date_from_parts date_part date_trunc dateadd datediff
        datefromparts day dayname dayofmonth dayofweek dayofweekiso dayofyear decode degrees dense_rank div0 div0null
        editdistance endswith equal_null exp factorial filter first_value flatten floor from_json get get_ignore_case
        get_path getbit getdate greatest greatest_ignore_nulls grouping grouping_id h3_cell_to_boundary
        h3_latlng_to_cell hash hash_agg haversine hex_decode_binary hex_decode_string hex_encode hll hour iff ifnull
        initcap insert is_array is_binary is_boolean is_char is_date is_decimal is_double is_integer is_null_value
        is_object is_real is_time is_timestamp_ltz is_timestamp_ntz is_timestamp_tz is_varchar jarowinkler_similarity
        json_extract_path_text kurtosis lag last_day last_value lead least least_ignore_nulls left length len like_all
        like_any listagg ln localtime localtimestamp log lower lpad ltrim map_cat map_contains_key map_delete
        map_insert map_keys map_pick map_size max max_by md5 md5_binary md5_hex md5_number_lower64 md5_number_upper64
        median min min_by minhash minute mod mode month monthname months_between next_day normal nth_value ntile
        nullif nullifzero nvl nvl2 object_agg object_construct object_construct_keep_null object_delete object_insert
        object_keys object_pick octet_length parse_ip parse_json parse_url parse_xml percent_rank percentile_cont
        percentile_disc pi position pow power previous_day quarter radians random randstr rank ratio_to_report reduce
        regexp_count regexp_extract_all regexp_instr regexp_like regexp_replace regexp_substr regexp_substr_all
        regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy regr_valx
        regr_valy repeat replace reverse right rlike round row_number rpad rtrim rtrimmed_length second seq1 seq2 seq4
        seq8 sha1 sha1_binary sha1_hex sha2 sha2_binary sha2_hex sign sin skew soundex soundex_p123 space split
        split_part split_to_table sqrt square startswith stddev stddev_pop stddev_samp strip_null_value strtok
        strtok_split_to_table strtok_to_array substr substring sum sys_connect_by_path sysdate tan time
        time_from_parts time_slice timeadd timediff timestamp_from_parts timestamp_ltz_from_parts
        timestamp_ntz_from_parts timestamp_tz_from_parts timestampadd timestampdiff to_array to_binary to_boolean
        to_char to_date to_decimal to_double to_geography to_geometry to_json to_number to_numeric to_object to_time
        to_timestamp to_timestamp_ltz to_timestamp_ntz to_timestamp_tz to_varchar to_variant to_xml transform
        translate trim trunc truncate try_base64_decode_binary try_base64_decode_string try_cast try_hex_decode_binary
        try_hex_decode_string try_parse_json try_to_binary try_to_boolean try_to_date try_to_decimal try_to_double
        try_to_geography try_to_geometry try_to_number try_to_numeric try_to_time try_to_timestamp
        try_to_timestamp_ltz try_to_timestamp_ntz try_to_timestamp_tz typeof unicode uniform upper uuid_string var_pop
        var_samp variance variance_pop variance_samp vector_cosine_similarity vector_inner_product vector_l1_distance
        vector_l2_distance week weekiso weekofyear width_bucket xmlget year yearofweek yearofweekiso zeroifnull zipf
        st_area st_asgeojson st_astext st_aswkt st_aswkb st_azimuth st_buffer st_centroid st_collect st_contains
        st_coveredby st_covers st_difference st_dimension st_disjoint st_distance st_dwithin st_endpoint st_envelope
        st_geogfromgeohash st_geogfromtext st_geogfromwkb st_geogfromwkt st_geographyfromtext st_geographyfromwkb
        st_geographyfromwkt st_geohash st_geometryfromwkb st_geometryfromwkt st_geomfromwkb st_geomfromwkt
        st_geompointfromgeohash st_hausdorffdistance st_intersection st_intersects st_isvalid st_length st_makeline
        st_makepoint st_makepolygon st_npoints st_numpoints st_perimeter st_point st_pointn st_polygon st_setsrid
        st_simplify st_srid st_startpoint st_symdifference st_transform st_union st_within st_x st_xmax st_xmin st_y
        st_ymax st_ymin
    """),
    nodes=classes("""
        Pivot PivotAlias PivotAny Lambda Dot PropertyEQ Qualify TableFromRows Generator SplitToTable
        StrtokSplitToTable Connect Prior ConnectByRoot Seq1 Seq2 Seq4 Seq8 JSONPathUnion
    """),
    clauses={
        exp.Select: names("qualify connect"),
        exp.Table: names("pivots"),
        exp.Subquery: names("pivots"),
        exp.Join: names("match_condition"),
        exp.Star: names("except_ replace rename ilike"),
        exp.Group: names("all"),
    },
    set_operation=names("with_ this expression distinct order limit offset by_name"),
    sources={
        exp.Explode: FLATTENED,
        exp.Flatten: FLATTENED,
        exp.SplitToTable: SPLIT,
        exp.StrtokSplitToTable: SPLIT,
        exp.Generator: None,
    },
    types=names("vector object map array"),
    folding="upper",
    catalog_schemas=CATALOG_SCHEMAS | names("account_usage organization_usage reader_account_usage"),
    catalog_databases=names("snowflake"),
    path=re.compile(r"[/\\:*?@]|\.[a-z0-9]+$", re.IGNORECASE),
    empty_tables=names("dual"),
    plain_name=re.compile(r"[A-Z_][A-Z0-9_$]*"),
    reserved=KEYWORDS
    | names("""
        account alter connect connection database drop following gscluster increment issue lateral minus organization
        qualify regexp revoke rlike sample schema start trigger try_cast using view whenever
    """),
    bare_functions=names("current_user current_role current_schema current_database current_warehouse current_account"),
    alias_clauses=names("select where group having qualify order"),
    has_implicit_recursion=True,
    shares_first=True,
    longest_name=255,
    check_node=check_node,
)
