from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('observability', '0003_channels_and_sightings'),
    ]

    operations = [
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('name', models.CharField(help_text='`schedule` each minute, `doctor` on request.', max_length=50, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(fields=['created_at'], name='observability_alert_created'),
        ),
    ]
