"""Does the broker take messages?"""

import tempfile

from django.conf import settings


class BrokerUnavailable(Exception):  # a state of the world, not a mistake
    """The broker is down, slow or refuses us; the message says which and holds no password."""


def broker_ping(*, seconds: float) -> str:
    """What the broker is, in words. Raises BrokerUnavailable after about `seconds`."""
    if settings.REDIS_URL:
        return _redis_ping(seconds)
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"]
    try:
        with tempfile.TemporaryFile(dir=folder):
            return "a folder on this machine"
    except OSError as error:
        raise BrokerUnavailable(f"the folder {folder} cannot be written: {error.strerror}") from error


def _redis_ping(seconds: float) -> str:
    import redis  # noqa: PLC0415  # it loads opentelemetry, which only an exporting process should pay for
    from redis.backoff import NoBackoff  # noqa: PLC0415  # as above
    from redis.retry import Retry  # noqa: PLC0415  # as above

    try:
        client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=seconds,
            socket_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
        )
        with client:
            version = client.info("server")["redis_version"]
    except (redis.RedisError, OSError, ValueError) as error:
        raise BrokerUnavailable(f"Redis does not answer: {type(error).__name__}") from error
    return f"Redis {version}"
