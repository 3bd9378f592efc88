from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("text2sql", "0004_removal_time")]

    operations = [
        # With a default in the database: a process of the former release still writes attempts without a place.
        migrations.AddField(
            "attempt",
            "inference_geo",
            models.CharField(max_length=50, blank=True, default="", db_default=""),
        ),
    ]
