"""The one block that a successful start prints."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from text2sql.launch.demo import DemoAccess, Login

_RULE = "─" * 78


@dataclass(frozen=True)
class StartBlock:
    """What somebody needs who has just started the product."""

    address: str  # without a slash at the end
    claude: str
    langfuse: str
    logs: Path
    demo: DemoAccess | None = None

    def __str__(self) -> str:
        return "\n".join([_RULE, *self._lines(), _RULE])

    def _lines(self) -> Iterator[str]:
        yield f"Text to SQL is running at {self.address}"
        yield ""
        yield from self._logins()
        yield _row("API docs", f"{self.address}/api/v1/docs")
        yield _row("Claude", self.claude)
        yield _row("Langfuse", self.langfuse)
        yield _row("Logs", str(self.logs))
        yield from self._keys()
        yield ""
        yield "Ctrl-C stops everything."

    def _logins(self) -> Iterator[str]:
        yield _row("Ask", f"{self.address}/ask/")
        yield _row("Admin", f"{self.address}/admin/")
        demo = self.demo or {}
        if admin := demo.get("admin"):
            yield _row("", f"admin: {_login(admin)}")
        if lead := demo.get("lead"):
            yield _row("", f"team lead: {_login(lead)}")
        if not demo:
            yield _row("", "make a login with: .venv/bin/python manage.py createsuperuser")

    def _keys(self) -> Iterator[str]:
        if self.demo is None:
            return
        keys = self.demo.get("keys", {})
        yield ""
        if not keys:
            yield "The demo teams' API keys were shown at an earlier start; make new ones in the admin."
            return
        yield "API keys of the demo teams"
        width = max(map(len, keys))
        for team, key in keys.items():
            yield f"  {team:<{width}}  {key}"
        question, database = self.demo.get("question"), self.demo.get("database")
        if question and database:
            yield ""
            yield "Ask a question:"
            key = next((key for team, key in keys.items() if database.startswith(team)), next(iter(keys.values())))
            yield _curl(self.address, key, database, question)


def _row(name: str, text: str) -> str:
    return f"  {name:<10}{text}"


def _login(login: Login) -> str:
    return f"{login['username']} / {login['password']}"


def _curl(address: str, key: str, database: str, question: str) -> str:
    body = json.dumps({"database": database, "question": question, "execute": True}, ensure_ascii=False)
    lines = [
        f"  curl -s {shlex.quote(f'{address}/api/v1/generate')}",
        f"    -H {shlex.quote(f'Authorization: Bearer {key}')}",
        "    -H 'Content-Type: application/json'",
        f"    -d {shlex.quote(body)}",
    ]
    return " \\\n".join(lines)
