from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that scores are written while the index is made

    dependencies = [
        ("observability", "0009_schedule"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="score",
            index=models.Index(fields=["trace_id"], name="observability_score_trace"),
        ),
    ]
