"""Settings from the environment; a value that cannot be read ends the process with one sentence."""

from decimal import Decimal, InvalidOperation
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

YES_OR_NO = frozenset({"", "0", "1", "f", "false", "n", "no", "off", "ok", "on", "t", "true", "y", "yes"})
"""What may stand for a truth value; django-environ itself takes every misspelling for false."""


def price(text: str) -> Decimal:
    """US dollars, at most a million. Raises ValueError."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation as error:
        raise ValueError("no number") from error
    if not (amount.is_finite() and 0 <= amount <= 1_000_000):
        raise ValueError("no price")
    return amount


class Env(environ.Env):  # type: ignore[misc]  # environ ships no types
    """django-environ with errors for people: an import that fails in the settings would be a page of traceback."""

    def get_value(self, var: Any, cast: Any = None, default: Any = environ.Env.NOTSET, **options: Any) -> Any:
        if cast is bool and self.ENVIRON.get(var, "").strip().lower() not in YES_OR_NO:
            raise SystemExit(f"The setting {var} must be true or false: correct it in the environment or .env.")
        try:
            return super().get_value(var, cast=cast, default=default, **options)
        except (ValueError, TypeError) as error:
            kind = getattr(cast, "__name__", "value")
            # The value may be a secret and is not repeated.
            raise SystemExit(
                f"The setting {var} cannot be read as {kind}: correct it in the environment or .env."
            ) from error

    def price(self, var: str, *, default: Decimal) -> Decimal:
        found: Decimal = self.get_value(var, cast=price, default=default)
        return found

    def database(self, url: str) -> dict[str, Any]:
        """Django's settings for a PostgreSQL URL; `?host=/folder` names a unix socket."""
        try:
            config: dict[str, Any] = self.db_url_config(url)
        except (ValueError, ImproperlyConfigured):
            config = {}
        if config.get("ENGINE") != "django.db.backends.postgresql":
            raise SystemExit("DATABASE_URL must name a PostgreSQL: postgresql://user:password@host:5432/name.")
        config["HOST"] = config.setdefault("OPTIONS", {}).pop("host", "") or config.get("HOST", "")
        return config
