from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that feedback is given while the index is made

    dependencies = [
        ("feedback", "0004_feedback_lists"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="feedback",
            index=models.Index(
                condition=models.Q(("state", "new")), fields=["generation"], name="feedback_waiting"
            ),
        ),
    ]
