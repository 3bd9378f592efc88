from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_delete, post_migrate, post_save


class ObservabilityConfig(AppConfig):
    name = "observability"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from observability.checks import langfuse_settings_check  # noqa: PLC0415  # models are loaded only now
        from observability.services.prices import prices_forget, prices_seed  # noqa: PLC0415  # as above

        checks.register(langfuse_settings_check)
        price = self.get_model("Price")
        post_save.connect(prices_forget, sender=price, dispatch_uid="prices_forget")
        post_delete.connect(prices_forget, sender=price, dispatch_uid="prices_forget")
        post_migrate.connect(prices_seed, sender=self, dispatch_uid="prices_seed")
