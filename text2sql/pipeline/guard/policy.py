"""What a statement may be made of. Everything that is not listed is refused, wherever in the tree it stands."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlglot import exp


def _classes(names: str) -> frozenset[type[exp.Expr]]:
    return frozenset(getattr(exp, name) for name in names.split())


ROOTS = _classes("Select Union Intersect Except Subquery")

STRUCTURE = _classes("""
    Select Union Intersect Except Subquery Values With CTE From Join Where Group Having Order Ordered Limit Offset
    Fetch LimitOptions Distinct Window WindowSpec WithinGroup Filter IgnoreNulls RespectNulls Table TableAlias
    TableSample Lateral Unnest Column Identifier Star Alias Paren Tuple Var Literal Boolean Null HexString BitString
    Interval IntervalSpan DataType DataTypeParam ColumnDef Kwarg GroupingSets Rollup Cube Collate AtTimeZone Bracket
    Slice Array Case If Cast
""")

OPERATORS = _classes("""
    And Or Not Add Sub Mul Div IntDiv Mod Neg Pow DPipe EQ NEQ GT GTE LT LTE Is NullSafeEQ NullSafeNEQ In Between
    Like ILike SimilarTo Glob Match RegexpLike RegexpILike Escape Any All Exists BitwiseAnd BitwiseOr BitwiseXor
    BitwiseNot BitwiseLeftShift BitwiseRightShift Overlaps Adjacent ExtendsLeft ExtendsRight Distance
    ArrayContainsAll ArrayContainedBy ArrayOverlaps JSONExtract JSONExtractScalar JSONBExtract JSONBExtractScalar
    JSONBContains JSONBContainsTopKey JSONBContainsAnyTopKeys JSONBContainsAllTopKeys JSONBDeleteAtPath JSONPath
    JSONPathRoot JSONPathKey JSONPathSubscript JSONPathSlice JSONPathWildcard JSONPathRecursive JSONKeyValue
""")

# Functions that sqlglot knows by class. A class missing here is refused even when its name is harmless elsewhere.
FUNCTIONS = _classes("""
    Abs Acos Acosh Ascii Asin Asinh Atan Atan2 Atanh Cbrt Ceil Cos Cosh Cot Degrees Exp Factorial Floor Ln Log Pi
    Radians Rand Round Sign Sin Sinh Sqrt Tan Tanh Trunc WidthBucket Greatest Least
    Coalesce Nullif Typeof CurrentVersion
    Avg Count CountIf Max Min Sum Median Mode Stddev StddevPop StddevSamp Variance VariancePop Corr CovarPop
    CovarSamp RegrAvgx RegrAvgy RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy ArrayAgg
    GroupConcat LogicalAnd LogicalOr BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg Grouping AnyValue PercentileCont
    PercentileDisc Quantile ApproxDistinct
    CumeDist DenseRank FirstValue Lag LastValue Lead NthValue Ntile PercentRank Rank RowNumber
    BitLength ByteLength Chr Concat ConcatWs Encode Decode Format Hex Unhex Initcap Left Length Lower Levenshtein
    MD5 Overlay Pad RegexpCount RegexpExtract RegexpExtractAll RegexpInstr RegexpReplace RegexpSplit RegexpSubstr
    Repeat Replace Reverse Right SHA SHA2 Soundex Space Split SplitPart StartsWith StrPosition String
    StringToArray Substring Translate Trim Unicode Upper Normalize
    CurrentDate CurrentTime CurrentTimestamp CurrentDatetime Localtime Localtimestamp Date DateAdd DateBin DateDiff
    DateFromParts DateSub DateTrunc Datetime Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Extract FromTimeZone Hour
    JustifyDays JustifyHours JustifyInterval LastDay MakeInterval Minute Month Quarter Second StrToDate StrToTime
    StrToUnix Time TimeFromParts TimeStrToTime TimeToStr TimeToUnix Timestamp TimestampAdd TimestampDiff
    TimestampFromParts TimestampSub TimestampTrunc TimestampTzFromParts ToChar ToNumber TsOrDsAdd TsOrDsDiff
    TsOrDsToDate TsOrDsToTime TsOrDsToTimestamp UnixSeconds UnixToTime Week WeekOfYear Year
    ArrayAll ArrayAny ArrayAppend ArrayConcat ArrayContains ArrayLast ArrayFirst ArrayPosition ArrayPrepend
    ArrayRemove ArrayReverse ArraySize ArraySlice ArraySort ArrayToString Explode ExplodingGenerateSeries
    GenerateSeries JSONArray JSONArrayAgg JSONArrayContains JSONBExists JSONBObjectAgg JSONBPathExists JSONExists
    JSONExtractArray JSONKeys JSONObject JSONObjectAgg JSONStripNulls JSONType ParseJSON Uuid
""")

NODES = STRUCTURE | OPERATORS | FUNCTIONS | {exp.Anonymous, exp.AnonymousAggFunc}

ARGUMENTS_REFUSED = frozenset(
    {
        # Table: other versions, hints, files, index hints; Select: INTO, locks, hints, modifiers of other databases.
        *("pivots", "hints", "system_time", "version", "format", "pattern", "index", "when", "partition", "changes"),
        *("rows_from", "indexed", "into", "locks", "hint", "operation_modifiers", "match", "qualify"),
        *(
            "laterals",
            "prewhere",
            "connect",
            "start",
            "cluster",
            "distribute",
            "sort",
            "settings",
            "options",
            "search",
        ),
    }
)
"""Arguments of Select, Table and With that change what is read or lock it."""


class Functions(NamedTuple):
    """Function names of one dialect, lower case."""

    scalar: frozenset[str]
    sources: dict[str, tuple[str, ...]]
    """Those that may stand in FROM, with the columns they give; an empty tuple: one column, named as the alias."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


POSTGRES = Functions(
    scalar=_names("""
        abs acosd age array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
        array_position array_positions array_prepend array_remove array_replace array_sample array_shuffle
        array_to_json array_to_string array_upper asind atand atan2d bit_and bit_count bit_or bit_xor bool_and bool_or
        btrim cardinality cbrt ceiling char_length character_length clock_timestamp convert_from convert_to cosd cotd
        date_add date_bin date_part date_subtract div erf erfc every factorial gamma gcd gen_random_uuid get_bit
        get_byte host isempty isfinite json_agg json_array_length json_build_array json_build_object json_each
        json_extract_path json_extract_path_text json_object json_object_agg json_object_keys json_array_elements
        json_array_elements_text json_strip_nulls json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text
        jsonb_array_length jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text
        jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match
        jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls
        jsonb_typeof justify_days justify_hours justify_interval lcm lgamma lower_inc lower_inf ltrim make_date
        make_interval make_time make_timestamp make_timestamptz masklen min_scale mode multirange netmask network
        num_nonnulls num_nulls numnode octet_length parse_ident percent_rank percentile_cont percentile_disc
        pg_typeof phraseto_tsquery plainto_tsquery querytree quote_ident quote_literal quote_nullable range_agg
        range_intersect_agg range_merge regexp_count regexp_instr regexp_like regexp_match regexp_matches
        regexp_split_to_array regexp_split_to_table regexp_substr row row_to_json rtrim scale set_bit set_byte
        set_masklen sha224 sha256 sha384 sha512 similarity sind starts_with statement_timestamp strict_word_similarity
        string_agg string_to_array string_to_table strip strpos substr tand text timeofday timezone to_ascii to_bin
        to_char to_date to_hex to_json to_jsonb to_number to_oct to_timestamp to_tsquery to_tsvector
        transaction_timestamp trim_array trim_scale ts_headline ts_rank ts_rank_cd tsvector_to_array unaccent unistr
        upper_inc upper_inf uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version var_pop var_samp
        websearch_to_tsquery word_similarity
        area box center circle diameter height isclosed isopen isparallel isperp isvertical length line lseg npoints
        path point polygon popen pclose radius slope width
        int4range int8range numrange tsrange tstzrange daterange lower upper bit_length rank dense_rank cume_dist
        daitch_mokotoff dmetaphone dmetaphone_alt metaphone difference soundex levenshtein levenshtein_less_equal
        earth_distance ll_to_earth earth_box
        st_area st_asgeojson st_astext st_azimuth st_buffer st_centroid st_closestpoint st_contains st_covers
        st_crosses st_difference st_disjoint st_distance st_distancesphere st_dwithin st_envelope st_equals
        st_geogfromtext st_geographyfromtext st_geometrytype st_geomfromgeojson st_geomfromtext st_intersection
        st_intersects st_isvalid st_length st_makeenvelope st_makeline st_makepoint st_npoints st_overlaps
        st_perimeter st_point st_setsrid st_simplify st_srid st_touches st_transform st_union st_within st_x st_y
        time_bucket hstore_to_json akeys avals
    """),
    sources={
        **dict.fromkeys(("generate_series", "generate_subscripts", "regexp_matches", "regexp_split_to_table"), ()),
        **dict.fromkeys(("string_to_table", "json_object_keys", "jsonb_object_keys", "jsonb_path_query"), ()),
        **dict.fromkeys(("json_array_elements", "json_array_elements_text"), ("value",)),
        **dict.fromkeys(("jsonb_array_elements", "jsonb_array_elements_text"), ("value",)),
        **dict.fromkeys(("json_each", "json_each_text", "jsonb_each", "jsonb_each_text"), ("key", "value")),
        **dict.fromkeys(("json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"), ()),
    },
)

JSON_TREE = ("key", "value", "type", "atom", "id", "parent", "fullkey", "path")
SQLITE = Functions(
    scalar=_names("""
        abs ceiling char coalesce concat concat_ws date datetime decimal format glob group_concat hex ifnull
        iif instr json json_array json_array_length json_each json_extract json_group_array json_group_object
        json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set json_type
        json_valid jsonb jsonb_extract julianday length like likelihood likely log10 log2 lower ltrim max median min
        mod nullif octet_length percentile percentile_cont percentile_disc power printf quote random replace round
        rtrim sign soundex string_agg strftime substr substring sum time timediff total trim trunc typeof unhex
        unicode unixepoch unlikely upper bm25 highlight snippet row
    """),
    sources={"json_each": JSON_TREE, "json_tree": JSON_TREE, "generate_series": ("value",)},
)

DIALECTS = {"postgres": POSTGRES, "sqlite": SQLITE}

POSTGRES_TYPES = _names("""
    char bpchar tsquery tsvector point line lseg box path polygon circle macaddr macaddr8 pg_lsn citext ltree lquery
    hstore jsonpath geometry geography vector name
""")
"""Types that sqlglot does not know and that are harmless to cast to, besides those of visible columns."""

LARGEST_COUNT = 1_000_000
"""How many rows or characters a constant may ask a generating function for."""
GROWING = _classes("Repeat Pad Space ExplodingGenerateSeries GenerateSeries")
GROWING_NAMES = frozenset({"repeat", "lpad", "rpad", "generate_series", "array_fill"})
FORMATTING_NAMES = frozenset({"printf", "format"})


def refused_arguments(node: exp.Expr) -> Iterable[str]:
    return (
        key for key in ARGUMENTS_REFUSED if isinstance(node, exp.Select | exp.Table | exp.With) and node.args.get(key)
    )
