from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("observability", "0006_price_multipliers")]

    operations = [
        # With a default in the database: a process of the former release still writes rows without a part.
        migrations.AddField(
            "trace",
            "part",
            models.CharField(
                max_length=100,
                blank=True,
                default="",
                db_default="",
                help_text="Empty for the trace itself, else what came later.",
            ),
        ),
        migrations.AddConstraint(
            "trace",
            models.UniqueConstraint(fields=["trace_id", "part"], name="observability_trace_part_once"),
        ),
        migrations.AlterField(
            "trace",
            "trace_id",
            models.CharField(max_length=32, help_text="Langfuse's id: 32 hexadecimal characters."),
        ),
    ]
