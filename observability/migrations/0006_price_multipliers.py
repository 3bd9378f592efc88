from decimal import Decimal
from typing import Any

from django.db import migrations, models

# Claude 4.6 and later answer in the US at 1.1 times the price; older models refuse to be told where.
US = [
    "claude-fable-5", "claude-fable-5-1", "claude-fable-5-2", "claude-mythos-5", "claude-mythos-5-1",
    "claude-mythos-5-2", "claude-haiku-5-5", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8", "claude-opus-5",
    "claude-opus-5-5", "claude-sonnet-4-6", "claude-sonnet-5", "claude-sonnet-5-5",
]  # fmt: skip


def multipliers_fill(apps: Any, schema_editor: Any) -> None:
    """Also for rows that were added or changed by hand: the multiplier is the model's, their prices stay."""
    prices = apps.get_model("observability", "Price").objects.using(schema_editor.connection.alias)
    prices.filter(model__in=US).update(geo_us_multiplier=Decimal("1.1"))


class Migration(migrations.Migration):
    dependencies = [("observability", "0005_managed_prompt")]

    operations = [
        migrations.AddField(
            "price",
            "geo_us_multiplier",
            models.DecimalField(
                "multiplier in the US",
                max_digits=6,
                decimal_places=4,
                null=True,
                blank=True,
                help_text="For calls that must be answered in the US, on all tokens; empty: the model allows none.",
            ),
        ),
        migrations.AddField(
            "price",
            "batch_multiplier",
            models.DecimalField(
                max_digits=6,
                decimal_places=4,
                default=Decimal("0.5"),
                help_text="For calls in a batch, on every kind of token.",
            ),
        ),
        migrations.RunPython(multipliers_fill, migrations.RunPython.noop),
        migrations.AddConstraint(
            "price",
            models.CheckConstraint(
                condition=models.Q(("batch_multiplier__gt", 0), ("geo_us_multiplier__gt", 0))
                | models.Q(("batch_multiplier__gt", 0), ("geo_us_multiplier__isnull", True)),
                name="observability_price_multipliers_positive",
            ),
        ),
    ]
