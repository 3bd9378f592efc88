from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that questions are asked while the indexes are made

    dependencies = [
        ("teams", "0003_model_ladder"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="charge",
            index=models.Index(fields=["-charged_at", "-id"], name="teams_charge_newest"),
        ),
        AddIndexConcurrently(
            model_name="charge",
            index=models.Index(fields=["-cost_usd", "-id"], name="teams_charge_dearest"),
        ),
        AddIndexConcurrently(
            model_name="charge",
            index=models.Index(fields=["model", "-charged_at"], name="teams_charge_model"),
        ),
        AddIndexConcurrently(
            model_name="charge",
            index=models.Index(
                condition=models.Q(("corrected_at__isnull", False)),
                fields=["-charged_at"],
                name="teams_charge_corrected",
            ),
        ),
    ]
