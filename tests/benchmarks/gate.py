"""The gate under load: `python -m tests.benchmarks.gate`; how fast it is: `python -m tests.benchmarks.gate --speed`.

Both work on a throw-away PostgreSQL, or on TEST_DATABASE_URL, and end with 1 where a promise is not kept. Let nobody
else work on that server: a long transaction in any of its databases keeps the dead versions of the windows' rows alive.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.run import database

if TYPE_CHECKING:
    from tests.benchmarks.audit import Audit

RESERVE_MS = 2.0
PER_SECOND = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true", help="how long the gate takes, instead of whether it holds")
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=16, help="in each process (default: 16)")
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with database() as url, tempfile.TemporaryDirectory(prefix="gate-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "FILE_FOLDERS": folder, "DATABASE_URL": url}
        return _run(arguments, Path(folder))


def _run(arguments: argparse.Namespace, folder: Path) -> int:
    import django  # noqa: PLC0415  # the settings are named first

    django.setup()
    from django.test.utils import setup_databases, teardown_databases  # noqa: PLC0415  # as above

    databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        return _speed() if arguments.speed else _stress(arguments, folder)
    finally:
        teardown_databases(databases, verbosity=0)


def _stress(arguments: argparse.Namespace, folder: Path) -> int:
    from tests.benchmarks.audit import Audit  # noqa: PLC0415  # the settings are named first
    from tests.benchmarks.stress import Stress  # noqa: PLC0415  # as above
    from tests.conftest import SHOP  # noqa: PLC0415  # as above

    with closing(sqlite3.connect(folder / "shop.sqlite")) as connection:
        connection.executescript(SHOP)
    stress = Stress(
        folder / "shop.sqlite", folder, questions=arguments.questions, processes=arguments.processes,
        threads=arguments.threads, kills=arguments.kills, seed=arguments.seed,
    )  # fmt: skip
    begun = time.monotonic()
    stress.run(patient=True)
    seconds, audit = time.monotonic() - begun, Audit(stress)
    overspent, faults = audit.overspent(), audit.faults()
    sys.stdout.write(report(audit, seconds))
    if faults:
        log = (folder / "asking.log").read_text().splitlines()
        sys.stderr.write("\n".join([line for line in log if " ERROR " in line or "Error:" in line][:20]) + "\n")
    return 1 if faults or any(overspent.values()) else 0


def report(audit: "Audit", seconds: float) -> str:
    """The run in lines for people."""
    stress, attempts = audit.stress, audit.attempts
    billed = sum((one.billed for one in attempts), Decimal(0))
    booked = sum((one.booked for one in attempts), Decimal(0))
    bills, estimates = sum(one.billed > 0 for one in attempts), sum(one.estimated for one in attempts)
    kinds: dict[str, int] = {}
    for outcome in stress.outcomes:
        kinds[outcome["kind"]] = kinds.get(outcome["kind"], 0) + 1
    lost = stress.questions - len(stress.outcomes)
    lines = [
        f"{stress.questions} questions by {stress.processes} processes of {stress.threads} threads in {seconds:.0f} s",
        f"{stress.killed} processes killed, {lost} questions lost with them",
        f"outcomes: {_told(kinds)}",
        f"attempts: {len(attempts)}, {bills} billed, {estimates} booked at their bound",
        f"billed by the stand-in {billed:.6f} USD, booked {booked:.6f} USD",
        "",
        "overspent, by what the stand-in billed:",
        *(f"  {amount:.12f} USD  {budget}" for budget, amount in audit.overspent().items()),
        f"402 by reason: {_told(audit.refusals())}",
        f"held while it ran, as a multiple of what was billed: {audit.held_share():.2f}",
        "refused though limit - spent - the true cost of what was in flight would have paid:",
        f"  {_told(audit.phantoms()) or 'none'}",
        f"other faults: {'; '.join(audit.faults()) or 'none'}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def _speed() -> int:
    from tests.benchmarks.speed import Speed  # noqa: PLC0415  # the settings are named first

    speed = Speed.measured()
    kept = speed.reserve_ms < RESERVE_MS and speed.one_budget_per_second >= PER_SECOND
    lines = [
        f"an empty transaction (SELECT 1, COMMIT)      p50 {speed.floor_ms:.2f} ms",
        f"reserve under four budgets, the statement    p50 {speed.reserve_ms:.2f} ms (limit {RESERVE_MS})",
        f"reserve under four budgets, its transaction  p50 {speed.transaction_ms:.2f} ms",
        f"settle under four budgets, its transaction   p50 {speed.settle_ms:.2f} ms",
        "by eight threads at once, each second:",
        f"  empty transactions                         {speed.floor_per_second:.0f}",
        f"  reserve + settle on one team's window      {speed.one_budget_per_second:.0f} (at least {PER_SECOND})",
        f"  reserve + settle under four budgets        {speed.four_budgets_per_second:.0f}",
        "kept" if kept else "NOT KEPT",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
