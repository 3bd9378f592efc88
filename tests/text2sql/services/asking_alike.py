"""One process of a crowd, `python -m tests.text2sql.services.asking_alike --threads 50 ...`.

It writes "ready", waits for a line, and then asks the same question from all its threads at once.
"""

import argparse
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

QUESTION = "Who are the customers?"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--asker", type=Path, required=True, help="JSON: [team, id of the key, its prefix]")
    parser.add_argument("--name", required=True, help="of this process; its questions have it as their end user")
    parser.add_argument(
        "--outcomes", type=Path, required=True, help="gets a line of JSON once all wait, and one per question"
    )
    arguments = parser.parse_args()
    import django  # noqa: PLC0415  # the arguments may be wrong

    django.setup()
    _warm_up()
    team, key, prefix = json.loads(arguments.asker.read_text())
    outcomes = os.open(arguments.outcomes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(**values: Any) -> None:
        # One write, so that the lines of many threads and processes stay whole.
        os.write(outcomes, f"{json.dumps({'process': arguments.name, **values})}\n".encode())

    def ask() -> None:
        tell(state="ended", **_ask(team, key, prefix, arguments.name))

    threads = [threading.Thread(target=ask) for _ in range(arguments.threads)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for thread in threads:
        thread.start()
    _await_crowd(arguments.threads)
    tell(state="waiting")
    for thread in threads:
        thread.join()
    return 0


def _warm_up() -> None:
    """As a process that has answered questions before."""
    from django.db import connection  # noqa: PLC0415  # after django.setup

    from text2sql.cache.answers import answer_cache  # noqa: PLC0415  # as above
    from text2sql.services.generation import warm_up  # noqa: PLC0415  # as above

    warm_up()
    answer_cache().get("0" * 64)
    connection.close()


def _await_crowd(count: int) -> None:
    """Until each thread waits for an answer, or is the one that the others wait for."""
    from tests.text2sql.services.crowds import until, waiting  # noqa: PLC0415  # after django.setup
    from text2sql.services import flights  # noqa: PLC0415  # as above

    until(lambda: waiting() + len(flights._keeper._watched) == count, "all wait")


def _ask(team: str, key: str, prefix: str, end_user: str) -> dict[str, Any]:
    from django.db import connection  # noqa: PLC0415  # after django.setup

    from teams.access import Scope  # noqa: PLC0415  # as above
    from teams.services.keys import key_principal  # noqa: PLC0415  # as above
    from text2sql.problems import Problem  # noqa: PLC0415  # as above
    from text2sql.services.generation import Question, generation_create  # noqa: PLC0415  # as above

    principal = key_principal(key_id=UUID(key), prefix=prefix, team_id=team, scopes=tuple(Scope))
    try:
        answer = generation_create(principal=principal, question=Question(team, "shop", QUESTION, end_user=end_user))
    except Problem as problem:
        return {"kind": problem.kind}
    except Exception as error:  # noqa: BLE001  # it is told, and fails the test
        return {"kind": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()
    return {"kind": answer.status, "cached": answer.cached, "id": str(answer.pk), "sql": answer.sql}


if __name__ == "__main__":
    sys.exit(main())
