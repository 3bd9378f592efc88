"""The web process's door. Everything heavy is imported here, so that the first question does not pay for it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "text2sql.settings")
application = get_wsgi_application()

from text2sql.services.generation import warm_up  # noqa: E402  # models need the configured application
from text2sql.services.stopping import stop_watch  # noqa: E402  # likewise

warm_up()
stop_watch()
