import uuid

import django.core.serializers.json
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models import Q

LEVELS = [("info", "Info"), ("warning", "Warning"), ("critical", "Critical")]
KINDS = [("email", "e-mail"), ("slack", "Slack"), ("webhook", "webhook")]
STATES = [("pending", "Pending"), ("claimed", "Claimed"), ("delivered", "Delivered"), ("failed", "Failed")]

# What an alert knew of its e-mail becomes a row of its own.
MOVE = """
INSERT INTO observability_alertdelivery
    (id, alert_id, channel_id, recipients, state, tries, next_try_at, claimed_until, maybe_sent, last_error, created_at,
     delivered_at)
SELECT gen_random_uuid(), id, NULL, recipients, state, tries, next_try_at, claimed_until, maybe_sent, last_error,
       created_at, delivered_at
FROM observability_alert
WHERE recipients <> '[]'
"""


class Migration(migrations.Migration):
    dependencies = [("observability", "0007_trace_parts")]

    operations = [
        migrations.CreateModel(
            name="AlertChannel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("kind", models.CharField(choices=KINDS, max_length=10)),
                (
                    "addresses",
                    models.JSONField(blank=True, default=list, help_text="E-mail addresses, of the kind e-mail."),
                ),
                ("encrypted_url", models.TextField(blank=True, editable=False)),
                ("encrypted_secret", models.TextField(blank=True, editable=False)),
                (
                    "scope",
                    models.CharField(
                        blank=True, help_text="The team whose alerts it gets; empty: all alerts.", max_length=100
                    ),
                ),
                ("minimum_level", models.CharField(choices=LEVELS, default="warning", max_length=10)),
                ("enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(kind__in=["email", "slack", "webhook"]), name="observability_alertchannel_kind_known"
                    ),
                    models.CheckConstraint(
                        condition=Q(minimum_level__in=["info", "warning", "critical"]),
                        name="observability_alertchannel_level_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AlertDelivery",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("state", models.CharField(choices=STATES, default="pending", editable=False, max_length=10)),
                ("tries", models.PositiveIntegerField(default=0, editable=False)),
                ("next_try_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("claimed_until", models.DateTimeField(editable=False, null=True)),
                (
                    "maybe_sent",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="A try may have arrived although its outcome was never seen.",
                    ),
                ),
                ("last_error", models.TextField(blank=True, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("delivered_at", models.DateTimeField(editable=False, null=True)),
                (
                    "recipients",
                    models.JSONField(default=list, help_text="E-mail addresses, where there is no channel."),
                ),
                (
                    "alert",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="observability.alert",
                    ),
                ),
                (
                    "channel",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="observability.alertchannel",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "alert deliveries",
                "abstract": False,
                "indexes": [
                    models.Index(
                        condition=Q(state__in=["pending", "claimed"]),
                        fields=["next_try_at"],
                        name="observability_alertdeliv_due",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(state__in=["pending", "claimed", "delivered", "failed"]),
                        name="observability_alertdelivery_state_known",
                    ),
                    models.CheckConstraint(
                        condition=Q(claimed_until__isnull=False, state="claimed")
                        | (~Q(state="claimed") & Q(claimed_until__isnull=True)),
                        name="observability_alertdelivery_claimed_has_lease",
                    ),
                    models.UniqueConstraint(fields=["alert", "channel"], name="observability_alertdelivery_once"),
                ],
            },
        ),
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
        migrations.RemoveConstraint("alert", "observability_alert_state_known"),
        migrations.RemoveConstraint("alert", "observability_alert_claimed_has_lease"),
        migrations.RemoveConstraint("alert", "observability_alert_level_known"),
        migrations.RemoveIndex("alert", "observability_alert_due"),
        migrations.RemoveField("alert", "claimed_until"),
        migrations.RemoveField("alert", "delivered_at"),
        migrations.RemoveField("alert", "last_error"),
        migrations.RemoveField("alert", "maybe_sent"),
        migrations.RemoveField("alert", "next_try_at"),
        migrations.RemoveField("alert", "recipients"),
        migrations.RemoveField("alert", "state"),
        migrations.RemoveField("alert", "tries"),
        migrations.AddField("alert", "acknowledged_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField(
            "alert", "acknowledged_by", models.CharField(blank=True, default="", editable=False, max_length=200), False
        ),
        migrations.AddField(
            "alert",
            "details",
            models.JSONField(
                blank=True,
                default=dict,
                encoder=django.core.serializers.json.DjangoJSONEncoder,
                help_text="Its figures for machines; money as text.",
            ),
        ),
        migrations.AddField(
            "alert",
            "note",
            models.TextField(blank=True, default="", help_text="What was said when it was acknowledged."),
            False,
        ),
        migrations.AlterField(
            "alert", "created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)
        ),
        migrations.AlterField("alert", "level", models.CharField(choices=LEVELS, max_length=10)),
        migrations.AlterField(
            "alert",
            "scope",
            models.CharField(
                blank=True,
                db_index=True,
                help_text="The team it concerns; empty: the whole organisation.",
                max_length=100,
            ),
        ),
        migrations.AddConstraint(
            "alert",
            models.CheckConstraint(
                condition=Q(level__in=["info", "warning", "critical"]), name="observability_alert_level_known"
            ),
        ),
        migrations.AddConstraint(
            "alert",
            models.CheckConstraint(
                condition=Q(acknowledged_at=None, acknowledged_by="")
                | (Q(acknowledged_at__isnull=False) & ~Q(acknowledged_by="")),
                name="observability_alert_acknowledged_by_someone",
            ),
        ),
    ]
