"""The answers of support_db, reckoned from its rows; dates and times there are text."""

from datetime import date, datetime
from itertools import accumulate
from typing import Any

from text2sql.demo.data.tables import DemoDatabase, Record
from text2sql.demo.questions.reckoning import (
    change,
    counts,
    days_before,
    grouped,
    keyed,
    month_start,
    percent,
    ratio,
)

Answer = list[tuple[Any, ...]]


def _since(database: DemoDatabase, column: str, first: date, until: date = date.max) -> list[Record]:
    """The tickets whose time in that column lies from `first` until before `until`."""
    return [
        ticket
        for ticket in database.records("tickets")
        if ticket[column] and first <= date.fromisoformat(ticket[column][:10]) < until
    ]


def _seconds(ticket: Record, until: str) -> int:
    taken = datetime.fromisoformat(ticket[until]) - datetime.fromisoformat(ticket["opened_at"])
    return int(taken.total_seconds())


def _ratings(database: DemoDatabase) -> dict[int, int]:
    return {rating["ticket_id"]: rating["rating"] for rating in database.records("satisfaction")}


def unsolved_tickets(database: DemoDatabase, today: date) -> Answer:
    waiting = grouped((t["priority"], t) for t in database.records("tickets") if t["solved_at"] is None)
    rows = []
    for priority, tickets in waiting.items():
        oldest = date.fromisoformat(min(ticket["opened_at"] for ticket in tickets)[:10])
        unassigned = sum(ticket["agent_id"] is None for ticket in tickets)
        rows.append((priority, len(tickets), unassigned, (today - oldest).days))
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def monthly_tickets(database: DemoDatabase, today: date) -> Answer:
    tickets = counts(
        t["opened_at"][:7] for t in _since(database, "opened_at", month_start(today, 12), month_start(today))
    )
    rows: Answer = []
    before = None
    for month, now in sorted(tickets.items()):
        rows.append((month, now, None if before is None else now - before, change(now, before)))
        before = now
    return rows


def response_times(database: DemoDatabase, today: date) -> Answer:
    agents = keyed(database, "agents")
    seconds = grouped(
        (agents[ticket["agent_id"]]["team"], _seconds(ticket, "first_response_at"))
        for ticket in _since(database, "opened_at", days_before(today, 90))
        if ticket["first_response_at"]
    )
    rows = [(team, len(taken), ratio(sum(taken), 60 * len(taken), 0)) for team, taken in seconds.items()]
    return sorted(rows, key=lambda row: (row[2], row[0]))


def broken_promises(database: DemoDatabase, today: date) -> Answer:
    promised = {policy["priority"]: policy["first_response_minutes"] for policy in database.records("sla_policies")}
    late = grouped(
        (ticket["priority"], _seconds(ticket, "first_response_at") > 60 * promised[ticket["priority"]])
        for ticket in _since(database, "opened_at", days_before(today, 180))
        if ticket["first_response_at"]
    )
    rows = [
        (priority, promised[priority], len(flags), sum(flags), percent(sum(flags), len(flags)))
        for priority, flags in late.items()
    ]
    return sorted(rows, key=lambda row: row[1])


def busiest_agents(database: DemoDatabase, today: date) -> Answer:
    agents, ratings = keyed(database, "agents"), _ratings(database)
    solved = grouped(
        (ticket["agent_id"], ratings.get(ticket["id"]))
        for ticket in _since(database, "solved_at", days_before(today, 30))
    )
    rows: Answer = []
    for number, marks in solved.items():
        given = [mark for mark in marks if mark is not None]
        happy = percent(sum(mark >= 4 for mark in given), len(given)) if given else None
        rows.append((agents[number]["full_name"], agents[number]["team"], len(marks), len(given), happy))
    return sorted(rows, key=lambda row: (-row[2], row[0]))[:5]


def category_satisfaction(database: DemoDatabase, today: date) -> Answer:
    tickets, first = keyed(database, "tickets"), month_start(today, 6).isoformat()
    marks = grouped(
        (tickets[rating["ticket_id"]]["category"], rating["rating"])
        for rating in database.records("satisfaction")
        if rating["rated_at"] >= first
    )
    rows = [
        (category, len(given), percent(sum(mark >= 4 for mark in given), len(given)), given.count(1))
        for category, given in marks.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def needy_customers(database: DemoDatabase, today: date) -> Answer:
    customers = keyed(database, "customers")
    asked = grouped(
        (ticket["customer_id"], ticket["priority"] in {"high", "urgent"})
        for ticket in _since(database, "opened_at", days_before(today, 180))
    )
    rows = [(customers[who]["name"], customers[who]["plan"], len(flags), sum(flags)) for who, flags in asked.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0]))[:10]


def quiet_customers(database: DemoDatabase, today: date) -> Answer:
    asked = {ticket["customer_id"] for ticket in database.records("tickets")}
    rows = [
        (customer["name"], customer["plan"], customer["country"], customer["customer_since"])
        for customer in database.records("customers")
        if customer["plan"] != "free" and customer["id"] not in asked
    ]
    return sorted(rows, key=lambda row: (row[3], row[0]))


def messages_per_ticket(database: DemoDatabase, today: date) -> Answer:
    tickets = keyed(database, "tickets")
    written = counts(
        message["ticket_id"]
        for message in database.records("messages")
        if not message["is_internal"] and tickets[message["ticket_id"]]["solved_at"]
    )
    by_channel = grouped((tickets[number]["channel"], messages) for number, messages in written.items())
    rows = [
        (channel, len(numbers), sum(numbers), ratio(sum(numbers), len(numbers), 2), max(numbers))
        for channel, numbers in by_channel.items()
    ]
    return sorted(rows, key=lambda row: (row[3], row[0]))


def reopened_share(database: DemoDatabase, today: date) -> Answer:
    solved = grouped(
        (ticket["category"], ticket["reopened_count"] > 0)
        for ticket in database.records("tickets")
        if ticket["solved_at"]
    )
    rows = [(name, len(flags), sum(flags), percent(sum(flags), len(flags))) for name, flags in solved.items()]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def refunds_by_category(database: DemoDatabase, today: date) -> Answer:
    tickets, first = keyed(database, "tickets"), month_start(today, 12).isoformat()
    cents = grouped(
        (tickets[refund["ticket_id"]]["category"], refund["amount_cents"])
        for refund in database.records("refunds")
        if refund["granted_on"] >= first
    )
    whole = sum(sum(amounts) for amounts in cents.values())
    rows = [
        (category, len(amounts), ratio(sum(amounts), 100, 2), percent(sum(amounts), whole))
        for category, amounts in cents.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def backlog(database: DemoDatabase, today: date) -> Answer:
    first = days_before(today, 14)
    opened = counts(ticket["opened_at"][:10] for ticket in _since(database, "opened_at", first))
    solved = counts(ticket["solved_at"][:10] for ticket in _since(database, "solved_at", first))
    days = sorted(opened.keys() | solved.keys())
    growth = accumulate(opened[day] - solved[day] for day in days)
    return [(day, opened[day], solved[day], more) for day, more in zip(days, growth, strict=True)]


def frequent_categories(database: DemoDatabase, today: date) -> Answer:
    customers = keyed(database, "customers")
    tickets = counts(
        (customers[ticket["customer_id"]]["plan"], ticket["category"])
        for ticket in _since(database, "opened_at", days_before(today, 365))
    )
    by_plan = grouped((plan, (-number, category)) for (plan, category), number in tickets.items())
    return [
        (plan, place, category, -loss)
        for plan in sorted(by_plan)
        for place, (loss, category) in enumerate(sorted(by_plan[plan])[:2], 1)
    ]


def busy_hours(database: DemoDatabase, today: date) -> Answer:
    chats = counts(t["opened_at"][11:13] for t in database.records("tickets") if t["channel"] == "chat")
    rows = [(hour, number, percent(number, chats.total())) for hour, number in chats.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:5]


def rating_share(database: DemoDatabase, today: date) -> Answer:
    ratings = _ratings(database)
    solved = grouped(
        (ticket["solved_at"][:7], ticket["id"] in ratings)
        for ticket in _since(database, "solved_at", month_start(today, 6), month_start(today))
    )
    return [(month, len(flags), sum(flags), percent(sum(flags), len(flags))) for month, flags in sorted(solved.items())]


def slowest_tickets(database: DemoDatabase, today: date) -> Answer:
    customers, agents = keyed(database, "customers"), keyed(database, "agents")
    rows = [
        (
            ticket["id"],
            customers[ticket["customer_id"]]["name"],
            agents[ticket["agent_id"]]["full_name"] if ticket["agent_id"] else "nobody",
            ticket["priority"],
            _seconds(ticket, "solved_at") // 3600,
        )
        for ticket in _since(database, "solved_at", days_before(today, 90))
    ]
    return sorted(rows, key=lambda row: (-row[4], row[0]))[:10]
