"""A client of the REST API, as a customer's script would be one."""

import json
from typing import Any

from django.test import Client


class ApiClient:
    """A client of the REST API; without a token it sends no key."""

    def __init__(self, token: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1/{path}", query, headers=self.headers)

    def post(self, path: str, body: Any = None, **changes: Any) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps({} if body is None else body)
        values = {"content_type": "application/json", **changes}
        return self.client.post(f"/api/v1/{path}", data, headers=self.headers, **values)
