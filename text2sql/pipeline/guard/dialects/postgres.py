"""PostgreSQL."""

import re
from itertools import pairwise

from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from text2sql.pipeline.guard.policy import CATALOG_SCHEMAS, Policy, names
from text2sql.pipeline.guard.refusal import GuardRefusal


class PostgresAsWritten(Postgres):
    """date_part() stays itself: EXTRACT, which sqlglot would print, gives numeric instead of double precision."""

    class Parser(PostgresParser):
        FUNCTION_PARSERS = {
            name: parse for name, parse in PostgresParser.FUNCTION_PARSERS.items() if name != "DATE_PART"
        }


def check_escapes(sql: str, tokens: list[Token]) -> None:
    """U&'…' and U&"…" are read as three tokens, and name something else than they seem to."""
    for token, following in pairwise(tokens):
        if following.token_type == TokenType.AMP and token.text.lower() == "u" and following.start == token.end + 1:
            quote = sql[following.end + 1 : following.end + 2]
            if quote in {"'", '"'}:
                raise GuardRefusal("unicode_escape", "Unicode escapes (U&) are not allowed. Write the characters.")


FUNCTIONS = names("""
    abs acosd age array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_sample array_shuffle array_to_json
    array_to_string array_upper asind atand atan2d bit_and bit_count bit_or bit_xor bool_and bool_or btrim cardinality
    cbrt ceiling char_length character_length clock_timestamp convert_from convert_to cosd cotd date_add date_bin
    date_part date_subtract div erf erfc every factorial gamma gcd gen_random_uuid get_bit get_byte host isempty
    isfinite json_agg json_array_length json_build_array json_build_object json_each json_extract_path
    json_extract_path_text json_object json_object_agg json_object_keys json_array_elements json_array_elements_text
    json_strip_nulls json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object
    jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
    jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_typeof justify_days justify_hours
    justify_interval lcm lgamma lower_inc lower_inf ltrim make_date make_interval make_time make_timestamp
    make_timestamptz masklen min_scale mode multirange netmask network num_nonnulls num_nulls numnode octet_length
    parse_ident percent_rank percentile_cont percentile_disc pg_typeof phraseto_tsquery plainto_tsquery querytree
    quote_ident quote_literal quote_nullable range_agg range_intersect_agg range_merge regexp_count regexp_instr
    regexp_like regexp_match regexp_matches regexp_split_to_array regexp_split_to_table regexp_substr row row_to_json
    rtrim scale set_bit set_byte set_masklen sha224 sha256 sha384 sha512 similarity sind starts_with
    statement_timestamp strict_word_similarity string_agg string_to_array string_to_table strip strpos substr tand
    text timeofday timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb to_number to_oct to_timestamp
    to_tsquery to_tsvector transaction_timestamp trim_array trim_scale ts_headline ts_rank ts_rank_cd
    tsvector_to_array unaccent unistr upper_inc upper_inf uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version
    var_pop var_samp websearch_to_tsquery word_similarity area box center circle diameter height isclosed isopen
    isparallel isperp isvertical length line lseg npoints path point polygon popen pclose radius slope width int4range
    int8range numrange tsrange tstzrange daterange lower upper bit_length rank dense_rank cume_dist daitch_mokotoff
    dmetaphone dmetaphone_alt metaphone difference soundex levenshtein levenshtein_less_equal earth_distance
    ll_to_earth earth_box st_area st_asgeojson st_astext st_azimuth st_buffer st_centroid st_closestpoint st_contains
    st_covers st_crosses st_difference st_disjoint st_distance st_distancesphere st_dwithin st_envelope st_equals
    st_geogfromtext st_geographyfromtext st_geometrytype st_geomfromgeojson st_geomfromtext st_intersection
    st_intersects st_isvalid st_length st_makeenvelope st_makeline st_makepoint st_npoints st_overlaps st_perimeter
    st_point st_setsrid st_simplify st_srid st_touches st_transform st_union st_within st_x st_y time_bucket
    hstore_to_json akeys avals
""")

POSTGRES = Policy(
    dialect="postgres",
    language=PostgresAsWritten,
    functions=FUNCTIONS,
    sources={
        **dict.fromkeys(("generate_series", "generate_subscripts", "regexp_matches", "regexp_split_to_table"), ()),
        **dict.fromkeys(("string_to_table", "json_object_keys", "jsonb_object_keys", "jsonb_path_query"), ()),
        **dict.fromkeys(("json_array_elements", "json_array_elements_text"), ("value",)),
        **dict.fromkeys(("jsonb_array_elements", "jsonb_array_elements_text"), ("value",)),
        **dict.fromkeys(("json_each", "json_each_text", "jsonb_each", "jsonb_each_text"), ("key", "value")),
        **dict.fromkeys(("json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"), ()),
    },
    types=names("""
        char bpchar tsquery tsvector point line lseg box path polygon circle macaddr macaddr8 pg_lsn citext ltree
        lquery hstore jsonpath geometry geography vector name
    """),
    folding="lower",
    default_schema="public",
    catalog_schemas=CATALOG_SCHEMAS,
    catalog_prefixes=("pg_",),
    plain_name=re.compile(r"[a-z_][a-z0-9_]*"),
    system_columns=names("ctid xmin xmax cmin cmax tableoid rowid oid _rowid_"),
    bare_functions=names("user current_role current_catalog current_schema current_user session_user system_user"),
    shares_first=True,
    names_by_function=True,
    longest_name=63,
    check_text=check_escapes,
)
