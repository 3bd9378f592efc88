"""Settings from the environment; a value that cannot be read ends the process with one sentence."""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Env(environ.Env):  # type: ignore[misc]  # environ ships no types
    """django-environ with errors for people: an import that fails in the settings would be a page of traceback."""

    def get_value(self, var: Any, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any) -> Any:
        try:
            return super().get_value(var, cast=cast, default=default, **options)
        except (ValueError, TypeError) as error:
            kind = getattr(cast, "__name__", "value")
            # The value may be a secret and is not repeated.
            raise SystemExit(
                f"The setting {var} cannot be read as {kind}: correct it in the environment or .env."
            ) from error

    def database(self, url: str) -> dict[str, Any]:
        """Django's settings for a PostgreSQL URL; `?host=/folder` names a unix socket."""
        try:
            config: dict[str, Any] = self.db_url_config(url)
        except (ValueError, ImproperlyConfigured) as error:
            raise SystemExit("DATABASE_URL must look like postgresql://user:password@host:5432/name.") from error
        config["HOST"] = config.setdefault("OPTIONS", {}).pop("host", "") or config.get("HOST", "")
        return config
