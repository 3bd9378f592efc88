import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that questions are asked while the indexes are made

    dependencies = [
        ("teams", "0003_model_ladder"),
        ("text2sql", "0014_question_days"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        RemoveIndexConcurrently(
            model_name="generation",
            name="generation_session",
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(fields=["-created_at", "-id"], name="generation_newest"),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(fields=["-cost_usd", "-id"], name="generation_dearest"),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(fields=["team", "-cost_usd", "-id"], name="generation_team_dearest"),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(fields=["-latency_ms", "-id"], name="generation_slowest"),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(fields=["team", "-latency_ms", "-id"], name="generation_team_slowest"),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("status", "succeeded"), _negated=True),
                fields=["status", "-created_at", "-id"],
                name="generation_unanswered",
            ),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("rung", "first"), _negated=True),
                fields=["rung", "-created_at", "-id"],
                name="generation_rung",
            ),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(fields=["model", "-created_at", "-id"], name="generation_model"),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("end_user", ""), _negated=True),
                fields=["end_user", "-created_at", "-id"],
                name="generation_end_user",
            ),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("session_id", ""), _negated=True),
                fields=["session_id", "team", "-created_at", "-id"],
                name="generation_session",
            ),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector(
                    models.Func(
                        models.F("question"),
                        models.Value("./:@-+<>&"),
                        models.Value("         "),
                        function="translate",
                        output_field=models.TextField(),
                    ),
                    models.Func(
                        models.F("sql"),
                        models.Value("./:@-+<>&"),
                        models.Value("         "),
                        function="translate",
                        output_field=models.TextField(),
                    ),
                    config="simple",
                ),
                name="generation_words",
            ),
        ),
    ]
