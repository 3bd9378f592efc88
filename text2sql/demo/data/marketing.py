"""marketing_db: campaigns of a software company, what they cost and whom they won."""

import random
from datetime import date, timedelta
from decimal import Decimal

from text2sql.demo.data import marketing_schema as schema
from text2sql.demo.data.chance import HISTORY_DAYS, Crowd, amount, bustle, events, history, moment, pick
from text2sql.demo.data.names import companies, domain_of, mailbox, people
from text2sql.demo.data.tables import DemoDatabase, DemoTable, Row

# Channel: whether paid, US dollars per click, clicks per thousand impressions, chance of a sale per lead.
_CHANNELS = {
    "search": (True, 2.4, 38, 0.16),
    "social": (True, 1.1, 12, 0.07),
    "display": (True, 0.6, 4, 0.05),
    "video": (True, 0.9, 7, 0.06),
    "email": (False, 0.0, 0, 0.13),
    "events": (True, 6.5, 90, 0.21),
    "referral": (False, 0.0, 0, 0.24),
}
# In a paid campaign whose clicks cost one dollar; dearer clicks are fewer.
_CLICKS_PER_DAY = 26
_THEMES = ("Fresh Start", "Time Saver", "Clean Data", "Better Reports", "Team Up", "Switch", "Grow", "Webinar")
_COUNTRIES = {"US": 0.4, "GB": 0.14, "DE": 0.16, "FR": 0.08, "NL": 0.06, "IN": 0.1, "BR": 0.06}
_EAGERNESS = {"US": 1.1, "GB": 1.0, "DE": 1.25, "FR": 0.9, "NL": 1.2, "IN": 0.6, "BR": 0.7}
_INDUSTRIES = ("education", "finance", "healthcare", "manufacturing", "retail", "software")
_PLANS = {"starter": (0.55, 290, 620), "team": (0.33, 1400, 3200), "business": (0.12, 6200, 14800)}
_MAIL_SEGMENTS = {"prospects": (5200, 0.21), "customers": (2400, 0.38), "dormant": (3100, 0.11)}


def build(anchor: date) -> DemoDatabase:
    rng = random.Random("marketing_db")
    channels: list[Row] = [(number, name, _CHANNELS[name][0]) for number, name in enumerate(_CHANNELS, 1)]
    campaigns = _campaigns(rng, anchor)
    spend = _ad_spend(rng, anchor, campaigns)
    leads, conversions = _leads_and_conversions(rng, anchor, campaigns)
    mails = _email_metrics(rng, anchor, campaigns)
    return DemoDatabase(
        name="marketing_db",
        description="Campaigns, advertising spend, leads, sales and mailings of a software company",
        dialect="postgres",
        tables=(
            DemoTable("channels", "Ways in which people hear of us", schema.CHANNELS, channels),
            DemoTable("campaigns", "Campaigns, past, running and planned", schema.CAMPAIGNS, campaigns),
            DemoTable(
                "ad_spend",
                "Spending and reach per campaign and day; paid channels only",
                schema.AD_SPEND,
                spend,
                ("PRIMARY KEY (campaign_id, spent_on)",),
            ),
            DemoTable("leads", "People who asked to hear from us", schema.LEADS, leads),
            DemoTable("conversions", "Leads that became customers", schema.CONVERSIONS, conversions),
            DemoTable(
                "email_metrics",
                "Results per mailing and segment of recipients",
                schema.EMAIL_METRICS,
                mails,
                ("PRIMARY KEY (campaign_id, sent_on, segment)",),
            ),
        ),
    )


def _campaigns(rng: random.Random, anchor: date) -> list[Row]:
    campaigns: list[Row] = []
    for channel_id, channel in enumerate(_CHANNELS, 1):
        for turn in range(9):
            # The first campaign of a channel has run from the beginning; the last one is still planned.
            starts_on = anchor - timedelta(days=HISTORY_DAYS - 88 * turn - rng.randint(0, 30) * bool(turn))
            is_planned = turn == 8
            if is_planned:
                starts_on = anchor + timedelta(days=rng.randint(5, 60))
            is_endless = turn == 0 or (turn == 6 and rng.random() < 0.5)
            ends_on = None if is_endless else starts_on + timedelta(days=rng.randint(60, 150))
            has_ended = ends_on is not None and ends_on < anchor
            running = "paused" if turn and rng.random() < 0.15 else "active"
            countries = sorted(rng.sample(tuple(_COUNTRIES), rng.randint(1, 4)))
            campaigns.append(
                (
                    len(campaigns) + 1,
                    f"{_THEMES[(turn + channel_id) % len(_THEMES)]} {channel.title()} {turn + 1}",
                    channel_id,
                    rng.choice(("leads", "leads", "awareness", "retention")),
                    "planned" if is_planned else "completed" if has_ended else running,
                    starts_on,
                    ends_on,
                    _budget(rng, channel, HISTORY_DAYS if ends_on is None else (ends_on - starts_on).days),
                    countries,
                    {
                        "min_staff": rng.choice((1, 20, 100, 500)),
                        "industries": sorted(rng.sample(_INDUSTRIES, rng.randint(1, 3))),
                    },
                )
            )
    return campaigns


def _budget(rng: random.Random, channel: str, days: int) -> Decimal:
    """Around what a campaign of that length will cost; channels that cost nothing get money for material."""
    per_day = _CLICKS_PER_DAY * (_CHANNELS[channel][1] or 0.5) ** 0.5
    return amount(round(days * per_day * rng.uniform(0.7, 1.9), -2))


def _channel_of(campaign: Row) -> str:
    return list(_CHANNELS)[int(campaign[2]) - 1]


def _is_running(campaign: Row, day: date, anchor: date) -> bool:
    # A paused campaign stopped three weeks ago.
    last_day = campaign[6] or date.max
    if campaign[4] == "paused":
        last_day = min(last_day, anchor - timedelta(days=21))
    return bool(campaign[5] <= day <= last_day)


def _ad_spend(rng: random.Random, anchor: date, campaigns: list[Row]) -> list[Row]:
    spend: list[Row] = []
    for campaign in campaigns:
        is_paid, cost, clicks_per_thousand, _ = _CHANNELS[_channel_of(campaign)]
        strength = rng.uniform(0.5, 1.6)
        for day in history(anchor):
            if not is_paid or not _is_running(campaign, day, anchor):
                continue
            clicks = events(rng, _CLICKS_PER_DAY * strength * bustle(day, anchor) / cost**0.5)
            impressions = int((clicks + rng.random()) * 1000 / clicks_per_thousand * rng.uniform(0.8, 1.25))
            spend.append((campaign[0], day, impressions + 40, clicks, amount(clicks * cost * rng.uniform(0.85, 1.2))))
    return spend


def _leads_and_conversions(rng: random.Random, anchor: date, campaigns: list[Row]) -> tuple[list[Row], list[Row]]:
    names, firms = people(rng), companies(rng)
    strengths = {campaign[0]: rng.lognormvariate(0, 0.5) for campaign in campaigns}
    leads: list[Row] = []
    conversions: list[Row] = []
    for day in history(anchor):
        running = [campaign for campaign in campaigns if _is_running(campaign, day, anchor)]
        crowd = Crowd(rng, [(day, strengths[campaign[0]], campaign) for campaign in running])
        for created_at in sorted(moment(rng, day, 0, 23) for _ in range(events(rng, 6 * bustle(day, anchor)))):
            campaign = None if rng.random() < 0.22 else crowd.draw(day)
            number, name, company = len(leads) + 1, next(names), next(firms)
            country = pick(rng, _COUNTRIES) if campaign is None else rng.choice(campaign[8])
            score = rng.randint(5, 98) if rng.random() < 0.88 else None
            status, converted_on = _lead_progress(rng, anchor, day, campaign, country, score)
            leads.append(
                (
                    number,
                    name,
                    company if rng.random() < 0.85 else None,
                    mailbox(name, domain_of(company)),
                    country,
                    campaign and campaign[0],
                    created_at,
                    status,
                    score,
                )
            )
            if converted_on is not None:
                plan = pick(rng, {plan: share for plan, (share, _, _) in _PLANS.items()})
                revenue = amount(rng.randint(*_PLANS[plan][1:]))
                conversions.append((len(conversions) + 1, number, converted_on, plan, revenue))
    return leads, conversions


def _lead_progress(
    rng: random.Random, anchor: date, day: date, campaign: Row | None, country: str, score: int | None
) -> tuple[str, date | None]:
    """Status of a lead made on `day` as known before `anchor`, and the day it bought."""
    chance = 0.1 if campaign is None else _CHANNELS[_channel_of(campaign)][3]
    chance *= _EAGERNESS[country] * (0.8 if score is None else 0.4 + score / 80)
    converted_on = day + timedelta(days=int(rng.triangular(1, 75, 12)))
    if rng.random() < chance and converted_on < anchor:
        return "converted", converted_on
    age = (anchor - day).days
    if age < 4:
        return pick(rng, {"new": 0.7, "contacted": 0.3}), None
    if age < 45:
        return pick(rng, {"new": 0.1, "contacted": 0.4, "qualified": 0.3, "disqualified": 0.2}), None
    return pick(rng, {"contacted": 0.15, "qualified": 0.15, "disqualified": 0.7}), None


def _email_metrics(rng: random.Random, anchor: date, campaigns: list[Row]) -> list[Row]:
    mails: list[Row] = []
    for campaign in campaigns:
        appeal = rng.uniform(0.8, 1.2)
        for day in history(anchor):
            is_mailing_day = day.weekday() == campaign[0] % 5
            if _channel_of(campaign) != "email" or not is_mailing_day or not _is_running(campaign, day, anchor):
                continue
            for segment, (size, open_rate) in _MAIL_SEGMENTS.items():
                sent = int(size * rng.uniform(0.85, 1.15))
                bounced = int(sent * rng.uniform(0.003, 0.02))
                delivered = sent - bounced
                opens = int(delivered * open_rate * appeal * rng.uniform(0.85, 1.15))
                clicks = int(opens * rng.uniform(0.06, 0.18))
                unsubscribes = int(delivered * rng.uniform(0.0005, 0.006))
                mails.append((campaign[0], day, segment, delivered, bounced, opens, clicks, unsubscribes))
    return mails
