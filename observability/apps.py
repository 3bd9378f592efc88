from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_delete, post_migrate, post_save


class ObservabilityConfig(AppConfig):
    name = "observability"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import observability.task_log  # noqa: F401, PLC0415  # its receivers of Celery's signals
        from observability.checks import (  # noqa: PLC0415  # models are loaded only now
            langfuse_settings_check,
            masking_settings_check,
        )
        from observability.services.prices import prices_forget, prices_seed  # noqa: PLC0415  # as above
        from observability.services.schedules import schedules_seed  # noqa: PLC0415  # as above

        checks.register(langfuse_settings_check)
        checks.register(masking_settings_check)
        price = self.get_model("Price")
        post_save.connect(prices_forget, sender=price, dispatch_uid="prices_forget")
        post_delete.connect(prices_forget, sender=price, dispatch_uid="prices_forget")
        post_migrate.connect(prices_seed, sender=self, dispatch_uid="prices_seed")
        post_migrate.connect(schedules_seed, sender=self, dispatch_uid="schedules_seed")
