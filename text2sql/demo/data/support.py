"""support_db: the help desk of a software company, kept in SQLite."""

import random
from datetime import date, datetime, timedelta

from text2sql.demo.data import support_schema as schema
from text2sql.demo.data.chance import Crowd, bustle, events, history, midnight, moment, pick
from text2sql.demo.data.names import CITIES, companies, people
from text2sql.demo.data.tables import DemoDatabase, DemoTable, Row

_PLANS = {"free": 0.45, "team": 0.37, "business": 0.18}
_NEEDINESS = {"free": 0.6, "team": 1.2, "business": 2.4}
_TEAMS = {"first_line": 9, "technical": 7, "billing": 4}
_CATEGORIES = {"bug": 0.27, "billing": 0.17, "how_to": 0.33, "account": 0.14, "feature_request": 0.09}
_TEAM_FOR = {"bug": "technical", "billing": "billing"}
_PRIORITIES = {
    "free": {"low": 0.45, "normal": 0.48, "high": 0.06, "urgent": 0.01},
    "team": {"low": 0.25, "normal": 0.55, "high": 0.16, "urgent": 0.04},
    "business": {"low": 0.12, "normal": 0.5, "high": 0.27, "urgent": 0.11},
}
# Minutes to the first answer and to the solution, as promised.
_SLA: list[Row] = [("low", 1440, 14400), ("normal", 480, 5760), ("high", 120, 1440), ("urgent", 30, 480)]
_CHANNELS = {"email": 0.55, "chat": 0.33, "phone": 0.12}
_HASTE = {"email": 0.7, "chat": 0.25, "phone": 0.15}
_REMARKS = ("Quick and friendly.", "Took too long.", "Solved at once.", "Had to explain it twice.", "Thank you!")


def build(anchor: date) -> DemoDatabase:
    rng = random.Random("support_db")
    customers = _customers(rng, anchor)
    agents = _agents(rng, anchor)
    tickets = _tickets(rng, anchor, customers, agents)
    messages = _messages(rng, anchor, tickets)
    ratings = _ratings(rng, anchor, tickets)
    refunds = _refunds(rng, anchor, tickets)
    return DemoDatabase(
        name="support_db",
        description="Tickets, agents, messages and ratings of a help desk",
        dialect="sqlite",
        tables=(
            DemoTable("customers", "Companies that use the software", schema.CUSTOMERS, customers),
            DemoTable("agents", "People who answer tickets, past and present", schema.AGENTS, agents),
            DemoTable("sla_policies", "Answer times we promise", schema.SLA_POLICIES, list(_SLA)),
            DemoTable("tickets", "Requests for help", schema.TICKETS, tickets),
            DemoTable("messages", "What was written in tickets", schema.MESSAGES, messages),
            DemoTable("satisfaction", "Ratings of solved tickets, at most one each", schema.SATISFACTION, ratings),
            DemoTable("refunds", "Money given back because of a ticket", schema.REFUNDS, refunds),
        ),
    )


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _text_before(at: datetime, anchor: date) -> str | None:
    """The moment as text, or nothing when it has not come yet."""
    return _text(at) if at < midnight(anchor) else None


def _customers(rng: random.Random, anchor: date) -> list[Row]:
    names = companies(rng)
    since = sorted(anchor - timedelta(days=int(rng.triangular(3, 1600, 500))) for _ in range(450))
    return [
        (number, next(names), pick(rng, _PLANS), rng.choice(tuple(CITIES)), day.isoformat())
        for number, day in enumerate(since, 1)
    ]


def _agents(rng: random.Random, anchor: date) -> list[Row]:
    names = people(rng)
    teams = [team for team, size in _TEAMS.items() for _ in range(size)]
    return [
        (
            number,
            next(names),
            team,
            (anchor - timedelta(days=rng.randint(740, 2200))).isoformat(),
            # The last of each team has left.
            int(number < len(teams) and teams[number] == team),
        )
        for number, team in enumerate(teams, 1)
    ]


def _tickets(rng: random.Random, anchor: date, customers: list[Row], agents: list[Row]) -> list[Row]:
    # The newest dozen of customers has not needed help yet, nor have some others.
    crowd = Crowd(
        rng,
        [
            (date.fromisoformat(customer[4]), _NEEDINESS[customer[2]] * rng.lognormvariate(0, 0.8), customer)
            for customer in customers
            if rng.random() > 0.06
        ],
    )
    tickets: list[Row] = []
    for day in history(anchor):
        opened = sorted(moment(rng, day, 0, 23) for _ in range(events(rng, 6 * bustle(day, anchor))))
        for opened_at in opened:
            customer = crowd.draw(day)
            tickets.append((len(tickets) + 1, *_ticket(rng, anchor, opened_at, customer, agents)))
    return tickets


def _ticket(rng: random.Random, anchor: date, opened_at: datetime, customer: Row, agents: list[Row]) -> Row:
    """All columns of a ticket after its number, as known before `anchor`."""
    category, priority = pick(rng, _CATEGORIES), pick(rng, _PRIORITIES[customer[2]])
    channel = pick(rng, _CHANNELS)
    team = _TEAM_FOR.get(category, "first_line")
    # Agents who left stopped taking tickets half a year ago.
    is_recent = opened_at >= midnight(anchor - timedelta(days=180))
    agent = rng.choice([agent for agent in agents if agent[2] == team and (agent[4] or not is_recent)])
    _, answer_within, solve_within = next(policy for policy in _SLA if policy[0] == priority)
    answer_minutes = 1 + int(answer_within * _HASTE[channel] * rng.lognormvariate(-0.3, 0.7))
    solve_minutes = 5 + int(solve_within * rng.lognormvariate(-1.0, 0.8))
    answered_at = opened_at + timedelta(minutes=answer_minutes)
    solved_at = answered_at + timedelta(minutes=solve_minutes)
    # A few requests are never solved, and nobody answers those that do not press.
    is_stuck = rng.random() < 0.012
    answered = None if is_stuck and priority == "low" else _text_before(answered_at, anchor)
    solved = None if is_stuck else _text_before(solved_at, anchor)
    if solved:
        status = "closed" if solved_at < midnight(anchor - timedelta(days=7)) else "solved"
    else:
        status = "pending" if answered else "open"
    return (
        customer[0],
        agent[0] if answered or rng.random() < 0.4 else None,
        category,
        priority,
        channel,
        status,
        _text(opened_at),
        answered,
        solved,
        pick(rng, {0: 0.86, 1: 0.11, 2: 0.03} if category == "bug" else {0: 0.94, 1: 0.06}) if solved else 0,
    )


def _messages(rng: random.Random, anchor: date, tickets: list[Row]) -> list[Row]:
    messages: list[Row] = []
    for ticket in tickets:
        written = [("customer", ticket[7], 0, rng.randint(15, 180))]
        if ticket[8] is not None:
            written.append(("agent", ticket[8], 0, rng.randint(20, 160)))
            start = datetime.fromisoformat(ticket[8])
            end = datetime.fromisoformat(ticket[9] or f"{anchor} 00:00:00")
            seconds = int((end - start).total_seconds())
            for sent in sorted(rng.randrange(max(seconds, 1)) for _ in range(rng.randint(0, 5))):
                author = rng.choice(("customer", "agent"))
                is_internal = int(author == "agent" and rng.random() < 0.2)
                words = rng.randint(5, 120)
                written.append((author, _text(start + timedelta(seconds=sent)), is_internal, words))
        for message in written:
            messages.append((len(messages) + 1, ticket[0], *message))
    return messages


def _ratings(rng: random.Random, anchor: date, tickets: list[Row]) -> list[Row]:
    ratings: list[Row] = []
    for ticket in tickets:
        if ticket[9] is None or rng.random() > 0.42:
            continue
        mood = {1: 0.06, 2: 0.08, 3: 0.16, 4: 0.34, 5: 0.36}
        if ticket[10]:
            mood = {1: 0.3, 2: 0.25, 3: 0.25, 4: 0.15, 5: 0.05}
        rated_at = datetime.fromisoformat(ticket[9] + "+00:00") + timedelta(minutes=rng.randint(2, 2900))
        rated = _text_before(rated_at, anchor)
        if rated:
            remark = rng.choice(_REMARKS) if rng.random() < 0.15 else None
            ratings.append((ticket[0], pick(rng, mood), remark, rated))
    return ratings


def _refunds(rng: random.Random, anchor: date, tickets: list[Row]) -> list[Row]:
    refunds: list[Row] = []
    for ticket in tickets:
        chance = {"billing": 0.18, "bug": 0.03}.get(ticket[3], 0.005)
        if ticket[9] is None or rng.random() > chance:
            continue
        granted_on = date.fromisoformat(ticket[9][:10]) + timedelta(days=rng.randint(0, 6))
        if granted_on < anchor:
            cents = rng.choice((900, 1900, 2900, 4900, 9900, 14900)) * rng.randint(1, 3)
            refunds.append((len(refunds) + 1, ticket[0], cents, granted_on.isoformat()))
    return refunds
