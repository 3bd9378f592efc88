import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('teams', '0003_model_ladder'),
        ('text2sql', '0011_evaluations'),
    ]

    operations = [
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=255)),
                ('body_digest', models.CharField(max_length=64)),
                ('generation_id', models.UUIDField()),
                ('claimed_at', models.DateTimeField()),
                ('api_key', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='teams.apikey')),
            ],
        ),
        migrations.AddField(
            model_name='generation',
            name='run_count',
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='generation',
            name='status',
            field=models.CharField(choices=[('queued', 'waiting'), ('running', 'running'), ('succeeded', 'succeeded'), ('clarify', 'asks back'), ('cannot_answer', 'cannot answer'), ('failed', 'failed')], default='running', max_length=15),
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(condition=models.Q(('status', 'queued')), fields=['created_at'], name='generation_queued'),
        ),
        migrations.AddIndex(
            model_name='idempotencykey',
            index=models.Index(fields=['claimed_at'], name='text2sql_id_claimed_3eb4be_idx'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('api_key', 'key'), name='text2sql_idempotencykey_one_per_api_key'),
        ),
    ]
