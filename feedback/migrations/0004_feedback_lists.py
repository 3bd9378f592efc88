from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that questions are asked while the indexes are made

    dependencies = [
        ("feedback", "0003_review"),
        ("text2sql", "0014_question_days"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="feedback",
            index=models.Index(fields=["-updated_at", "-id"], name="feedback_newest"),
        ),
    ]
