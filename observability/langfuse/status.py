"""One line for the start block: is Langfuse on, where, and does it answer?"""

import httpx
from django.conf import settings

from observability.langfuse.client import langfuse_config, langfuse_configured

TIMEOUT = httpx.Timeout(1.5)  # to connect and to read: three seconds at most


def langfuse_status_line() -> str:
    """Whether traces go to Langfuse, for people. Asks Langfuse for up to 3 s and never raises."""
    if not settings.ENABLE_LANGFUSE:
        return "LangFuse observability disabled by ENABLE_LANGFUSE"
    if not langfuse_configured():
        return "LangFuse observability disabled: set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
    config = langfuse_config()
    host = config.base_url.partition("://")[2] or config.base_url
    try:
        answer = httpx.get(
            f"{config.base_url}/api/public/projects", auth=(config.public_key, config.secret_key), timeout=TIMEOUT
        )
        answer.raise_for_status()
        project = answer.json()["data"][0]["name"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as trouble:
        return f"LangFuse observability enabled ({host}), but not reachable now: {_told(trouble)}"
    return f"LangFuse observability enabled ({host}, project {project})"


def _told(trouble: Exception) -> str:
    if isinstance(trouble, httpx.HTTPStatusError):
        code = trouble.response.status_code
        return f"the keys are not accepted ({code})" if code in (401, 403) else f"it answered {code}"
    return str(trouble) or type(trouble).__name__
