"""Loading Langfuse's SDK and opentelemetry, by whoever sends first.

A web process never pays for them, so they are imported inside functions. Their modules import each other while being
imported, and two threads that begin at once run into a deadlock that Python breaks with an exception: the worker's
exporters therefore load everything here, one thread at a time, before anything else touches it.
"""

import importlib
import threading

_MODULES = (
    "langfuse",
    "langfuse._client.attributes",
    "langfuse.api",
    "langfuse.api.core",
    "langfuse.api.scores.types",
    "opentelemetry.exporter.otlp.proto.common.trace_encoder",
    "opentelemetry.sdk.resources",
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.util.instrumentation",
)
_RESOURCES = ("dataset_items", "datasets", "metrics", "observations", "projects", "prompts", "scores")

_loading = threading.Lock()
_loaded = threading.Event()


def sdk_load() -> None:
    """Import all of it once; every entrance to Langfuse calls this first."""
    if _loaded.is_set():
        return
    with _loading:
        if not _loaded.is_set():
            _import_all()
            _loaded.set()


def _import_all() -> None:
    for name in _MODULES:
        importlib.import_module(name)
    api = importlib.import_module("langfuse.api")
    for name in api.__all__:
        getattr(api, name)  # each name is imported when it is asked for
    client = api.LangfuseAPI(base_url="http://localhost")
    for name in _RESOURCES:
        getattr(client, name)  # likewise
