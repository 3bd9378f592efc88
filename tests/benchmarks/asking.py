"""One process of the gate's stress test: threads that ask questions until there are none left.

`python -m tests.benchmarks.asking --threads 16 --questions 5000 --askers askers.json --outcomes outcomes.jsonl`
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

SEQUENCE = "gate_stress_question"
"""Hands out the numbers of the questions: one that a killed process had taken is not asked again."""


def question_text(number: int) -> str:
    return f"What is the sum of number {number}?"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--questions", type=int, required=True)
    parser.add_argument("--askers", type=Path, required=True, help="JSON: a list of [team, id of the key, its prefix]")
    parser.add_argument("--outcomes", type=Path, required=True, help="one line of JSON is appended for each question")
    arguments = parser.parse_args()
    import django  # noqa: PLC0415  # the arguments may be wrong

    django.setup()
    askers = json.loads(arguments.askers.read_text())
    outcomes = os.open(arguments.outcomes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    threads = [
        threading.Thread(target=_ask_all, args=(askers, arguments.questions, outcomes))
        for _ in range(arguments.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


def _ask_all(askers: list[list[str]], questions: int, outcomes: int) -> None:
    while (number := _next_number()) <= questions:
        team, key, prefix = askers[number % len(askers)]
        begun = time.time()
        outcome = _ask(number, team, key, prefix)
        line = {"number": number, "team": team, "key": key, "begun": begun, "ended": time.time(), **outcome}
        # One write, so that the lines of many threads and processes stay whole.
        os.write(outcomes, f"{json.dumps(line)}\n".encode())


def _next_number() -> int:
    from django.db import connection  # noqa: PLC0415  # after django.setup

    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s::regclass)", [SEQUENCE])
        number: int = cursor.fetchone()[0]
    connection.close()
    return number


def _ask(number: int, team: str, key: str, prefix: str) -> dict[str, Any]:
    from teams.access import Scope  # noqa: PLC0415  # after django.setup
    from teams.services.keys import key_principal  # noqa: PLC0415  # as above
    from text2sql.problems import Problem  # noqa: PLC0415  # as above
    from text2sql.services.generation import Question, generation_create  # noqa: PLC0415  # as above

    principal = key_principal(key_id=UUID(key), prefix=prefix, team_id=team, scopes=tuple(Scope))
    try:
        answer = generation_create(principal=principal, question=Question(team, "shop", question_text(number)))
    except Problem as problem:
        return {"kind": problem.kind, "status": problem.type.status, **problem.extras}
    except Exception as error:  # noqa: BLE001  # it is counted, and fails the run
        return {"kind": f"{type(error).__name__}: {error}", "status": 0}
    return {"kind": answer.status, "status": 200, "model": answer.model}


if __name__ == "__main__":
    sys.exit(main())
