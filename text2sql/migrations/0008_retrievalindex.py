import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('text2sql', '0007_context_and_ladder'),
    ]

    operations = [
        migrations.CreateModel(
            name='RetrievalIndex',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('claimed', 'Claimed'), ('delivered', 'Delivered'), ('failed', 'Failed')], default='pending', editable=False, max_length=10)),
                ('tries', models.PositiveIntegerField(default=0, editable=False)),
                ('next_try_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('claimed_until', models.DateTimeField(editable=False, null=True)),
                ('maybe_sent', models.BooleanField(default=False, editable=False, help_text='A try may have arrived although its outcome was never seen.')),
                ('last_error', models.TextField(blank=True, editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('delivered_at', models.DateTimeField(editable=False, null=True)),
                ('key', models.CharField(help_text='Digest of all that it is built from.', max_length=64)),
                ('source', models.BinaryField(help_text='What it is to be built from; nothing once that is settled.', null=True)),
                ('content', models.BinaryField(null=True)),
                ('used_on', models.DateField(help_text='The last day (UTC) on which a question needed it.')),
                ('database', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='text2sql.database')),
            ],
            options={
                'abstract': False,
                'indexes': [models.Index(condition=models.Q(('state__in', ['pending', 'claimed'])), fields=['next_try_at'], name='text2sql_retrievalindex_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'claimed', 'delivered', 'failed'])), name='text2sql_retrievalindex_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('claimed_until__isnull', False), ('state', 'claimed')), models.Q(models.Q(('state', 'claimed'), _negated=True), ('claimed_until__isnull', True)), _connector='OR'), name='text2sql_retrievalindex_claimed_has_lease'), models.UniqueConstraint(fields=('database', 'key'), name='text2sql_retrievalindex_one_per_key'), models.CheckConstraint(condition=models.Q(models.Q(('content__isnull', False), ('state', 'delivered')), models.Q(models.Q(('state', 'delivered'), _negated=True), ('content__isnull', True)), _connector='OR'), name='text2sql_retrievalindex_delivered_has_content')],
            },
        ),
    ]
