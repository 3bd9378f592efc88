"""A catalog of any size for measuring, the same each time: names as people make them up, keys, shared columns."""

import random

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

_WORDS = """
account address agent amount asset audit balance batch billing booking branch budget building campaign carrier case
category channel city claim client code company contact contract cost country course credit currency customer date
delivery department deposit device discount district document domain driver employee event exchange expense factory
fee file fleet floor forecast fund group history holding image index insurance interest inventory invoice item job
journal key language lead ledger level license line loan location log machine manager market material measure member
message meter method model month network note office order organization origin owner package parcel partner payment
period person phone plan plant point policy port position price process product profile project promotion property
purchase quality quantity quarter rate reason receipt record region rental report request reserve return review risk
role room route salary sales sample schedule school score season section segment sensor service session shift shipment
site source staff stage state station status stock store street student subject supplier survey target task tax team
tenant term territory ticket title total trade transaction transfer type unit usage user value vehicle vendor version
visit volume warehouse week work zone
"""
WORDS = _WORDS.split()


def catalog_make(tables: int, *, columns: int = 25, schemas: int = 10) -> Schema:
    chance = random.Random(5)
    names = [f"{chance.choice(WORDS)}_{chance.choice(WORDS)}_{chance.choice(WORDS)}_{at}" for at in range(tables)]
    made = []
    for at, name in enumerate(names):
        own = dict.fromkeys(f"{chance.choice(WORDS)}_{chance.choice(WORDS)}" for _ in range(columns))
        referred = chance.randrange(tables)
        made.append(
            Table(
                name,
                (
                    Column("id", "bigint"),
                    Column("tenant_id", "bigint"),
                    Column(f"{names[referred]}_id", "bigint"),
                    *(Column(column, "text") for column in own),
                ),
                schema=f"area_{at % schemas}",
                comment=f"{chance.choice(WORDS)} of each {chance.choice(WORDS)}",
                primary_key=("id",),
                foreign_keys=(
                    ForeignKey((f"{names[referred]}_id",), f"area_{referred % schemas}.{names[referred]}", ("id",)),
                ),
            )
        )
    return Schema("postgres", tuple(made))


def question_make(chance: random.Random, *, words: int = 12) -> str:
    return "What is the " + " of the ".join(chance.choice(WORDS) for _ in range(words)) + "?"
