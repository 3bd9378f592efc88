from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("text2sql", "0015_generation_lists"),
    ]

    operations = [
        migrations.AddField(
            model_name="questionday",
            name="answered_ms",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="questionday",
            name="cached_ms",
            field=models.PositiveBigIntegerField(default=0),
        ),
        # Where there are no days, the worker counts them all, within a minute.
        migrations.RunSQL("DELETE FROM text2sql_questionday", migrations.RunSQL.noop, elidable=True),
    ]
