from django.apps import AppConfig


class Text2SqlConfig(AppConfig):
    name = "text2sql"
    label = "text2sql"
    verbose_name = "Questions"

    def ready(self) -> None:
        # Registers the Celery application and the system checks, which need the loaded apps.
        from text2sql import celery, checks  # noqa: F401, PLC0415
