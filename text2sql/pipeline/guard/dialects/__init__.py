"""One file per dialect. A dialect that is not here is refused: nothing is guessed about it."""

from collections.abc import Mapping

from text2sql.pipeline.guard.dialects.bigquery import BIGQUERY
from text2sql.pipeline.guard.dialects.duckdb import DUCKDB
from text2sql.pipeline.guard.dialects.mysql import MYSQL
from text2sql.pipeline.guard.dialects.postgres import POSTGRES
from text2sql.pipeline.guard.dialects.snowflake import SNOWFLAKE
from text2sql.pipeline.guard.dialects.sqlite import SQLITE
from text2sql.pipeline.guard.dialects.tsql import TSQL
from text2sql.pipeline.guard.policy import Policy

POLICIES: Mapping[str, Policy] = {
    policy.dialect: policy for policy in (POSTGRES, SQLITE, MYSQL, DUCKDB, SNOWFLAKE, BIGQUERY, TSQL)
}
