from django.db import migrations


class Migration(migrations.Migration):
    """Audit entries are added and never changed, by whatever door."""

    dependencies = [
        ("observability", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            sql="""
                CREATE FUNCTION observability_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    RAISE EXCEPTION 'audit entries are append-only';
                END $$;
                CREATE TRIGGER observability_audit_append_only
                    BEFORE UPDATE OR DELETE ON observability_auditentry
                    FOR EACH ROW EXECUTE FUNCTION observability_audit_refuse();
            """,
            reverse_sql="""
                DROP TRIGGER observability_audit_append_only ON observability_auditentry;
                DROP FUNCTION observability_audit_refuse();
            """,
        ),
    ]
