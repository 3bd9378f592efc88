"""The answers of marketing_db, reckoned from its rows."""

from datetime import date
from decimal import Decimal
from typing import Any

from text2sql.demo.data.tables import DemoDatabase, Record
from text2sql.demo.questions.reckoning import (
    change,
    counts,
    days_before,
    grouped,
    keyed,
    median,
    month_start,
    percent,
    ratio,
    rounded,
    totals,
    week_start,
    year_before,
)

Answer = list[tuple[Any, ...]]


def _spend(database: DemoDatabase, since: date) -> list[Record]:
    return [spend for spend in database.records("ad_spend") if spend["spent_on"] >= since]


def _channels(database: DemoDatabase) -> dict[int | None, str]:
    """The name of the channel of every campaign."""
    channels = keyed(database, "channels")
    return {campaign["id"]: channels[campaign["channel_id"]]["name"] for campaign in database.records("campaigns")}


def _leads_by_month(database: DemoDatabase, today: date, months: int) -> list[tuple[date, list[Record]]]:
    return sorted(
        grouped(
            (month_start(lead["created_at"].date()), lead)
            for lead in database.records("leads")
            if month_start(today, months) <= lead["created_at"].date() < month_start(today)
        ).items()
    )


def cost_per_lead(database: DemoDatabase, today: date) -> Answer:
    since = days_before(today, 90)
    spent = totals((spend["campaign_id"], spend["amount"]) for spend in _spend(database, since))
    leads = counts(lead["campaign_id"] for lead in database.records("leads") if lead["created_at"].date() >= since)
    rows = [
        (campaign["name"], spent[number], leads[number], ratio(spent[number], leads[number], 2))
        for number, campaign in keyed(database, "campaigns").items()
        if number in spent and leads[number]
    ]
    return sorted(rows, key=lambda row: (row[3], row[0]))[:10]


def paid_channels(database: DemoDatabase, today: date) -> Answer:
    channels = _channels(database)
    by_channel = grouped((channels[spend["campaign_id"]], spend) for spend in _spend(database, days_before(today, 30)))
    rows = []
    for channel, days in by_channel.items():
        spent, clicks = sum(day["amount"] for day in days), sum(day["clicks"] for day in days)
        shown = sum(day["impressions"] for day in days)
        rows.append((channel, spent, clicks, percent(clicks, shown, 2), ratio(spent, clicks, 2)))
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def return_on_spend(database: DemoDatabase, today: date) -> Answer:
    channels, leads, since = _channels(database), keyed(database, "leads"), days_before(today, 365)
    spent = totals((channels[spend["campaign_id"]], spend["amount"]) for spend in _spend(database, since))
    revenue = totals(
        (channels.get(leads[sale["lead_id"]]["campaign_id"]), sale["revenue"])
        for sale in database.records("conversions")
        if sale["converted_on"] >= since
    )
    rows: Answer = []
    for channel in database.records("channels"):
        cost, income = spent.get(channel["name"], 0), revenue.get(channel["name"], 0)
        rows.append((channel["name"], cost, income, ratio(income, cost, 2) if cost else None))
    return sorted(rows, key=lambda row: (row[3] is None, -(row[3] or 0), row[0]))


def monthly_leads(database: DemoDatabase, today: date) -> Answer:
    rows: Answer = []
    before = None
    for month, leads in _leads_by_month(database, today, 12):
        now = len(leads)
        rows.append((f"{month:%Y-%m}", now, None if before is None else now - before, change(now, before)))
        before = now
    return rows


def funnel(database: DemoDatabase, today: date) -> Answer:
    leads = counts(
        lead["status"] for lead in database.records("leads") if lead["created_at"].date() >= days_before(today, 180)
    )
    rows = [(status, number, percent(number, leads.total())) for status, number in leads.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def country_conversion(database: DemoDatabase, today: date) -> Answer:
    revenue = {sale["lead_id"]: sale["revenue"] for sale in database.records("conversions")}
    by_country = grouped((lead["country"], revenue.get(lead["id"])) for lead in database.records("leads"))
    rows = []
    for country, leads in by_country.items():
        bought = [income for income in leads if income is not None]
        if len(leads) >= 50:
            share = percent(len(bought), len(leads))
            rows.append((country, len(leads), len(bought), share, sum(bought, Decimal(0))))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def mail_rates(database: DemoDatabase, today: date) -> Answer:
    by_segment = grouped(
        (mail["segment"], mail)
        for mail in database.records("email_metrics")
        if mail["sent_on"] >= days_before(today, 180)
    )
    rows = []
    for segment, mails in by_segment.items():
        delivered, opens = sum(mail["delivered"] for mail in mails), sum(mail["opens"] for mail in mails)
        clicks = sum(mail["clicks"] for mail in mails)
        rows.append((segment, len(mails), delivered, percent(opens, delivered), percent(clicks, opens)))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def best_campaigns(database: DemoDatabase, today: date) -> Answer:
    channels, campaigns, leads = _channels(database), keyed(database, "campaigns"), keyed(database, "leads")
    sales = grouped((leads[s["lead_id"]]["campaign_id"], s["revenue"]) for s in database.records("conversions"))
    by_channel = grouped(
        (channels[number], (-sum(incomes), campaigns[number]["name"], len(incomes)))
        for number, incomes in sales.items()
        if number is not None
    )
    return [
        (channel, name, -loss, sold)
        for channel in sorted(by_channel)
        for loss, name, sold in sorted(by_channel[channel])[:2]
    ]


def budget_use(database: DemoDatabase, today: date) -> Answer:
    spent = totals((spend["campaign_id"], spend["amount"]) for spend in database.records("ad_spend"))
    rows = [
        (plan["name"], plan["status"], plan["budget"], spent[number], percent(spent[number], plan["budget"]))
        for number, plan in keyed(database, "campaigns").items()
        if spent.get(number, 0) * 10 > plan["budget"] * 8
    ]
    return sorted(rows, key=lambda row: (-row[4], row[0]))


def fruitless_campaigns(database: DemoDatabase, today: date) -> Answer:
    channels, leads, since = _channels(database), keyed(database, "leads"), days_before(today, 14)
    fruitful = {
        leads[sale["lead_id"]]["campaign_id"]
        for sale in database.records("conversions")
        if sale["converted_on"] >= since
    }
    spent = totals((spend["campaign_id"], spend["amount"]) for spend in _spend(database, since))
    rows = [
        (campaign["name"], channels[number], spent[number])
        for number, campaign in keyed(database, "campaigns").items()
        if number in spent and number not in fruitful
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def days_to_buy(database: DemoDatabase, today: date) -> Answer:
    channels, leads = _channels(database), keyed(database, "leads")
    days = grouped(
        (
            channels.get(leads[sale["lead_id"]]["campaign_id"], "organic"),
            (sale["converted_on"] - leads[sale["lead_id"]]["created_at"].date()).days,
        )
        for sale in database.records("conversions")
    )
    rows = [(channel, len(taken), rounded(median(taken), 1), max(taken)) for channel, taken in days.items()]
    return sorted(rows, key=lambda row: (row[2], row[0]))


def organic_share(database: DemoDatabase, today: date) -> Answer:
    rows = []
    for month, leads in _leads_by_month(database, today, 6):
        organic = sum(lead["campaign_id"] is None for lead in leads)
        rows.append((f"{month:%Y-%m}", len(leads), organic, percent(organic, len(leads))))
    return rows


def weekly_spend(database: DemoDatabase, today: date) -> Answer:
    spent = totals(
        (week_start(spend["spent_on"]), spend["amount"])
        for spend in _spend(database, week_start(today, 8))
        if spend["spent_on"] < week_start(today)
    )
    rows: Answer = []
    running = Decimal(0)
    for week in sorted(spent):
        running += spent[week]
        rows.append((week, spent[week], running))
    return rows


def lost_subscribers(database: DemoDatabase, today: date) -> Answer:
    campaigns = keyed(database, "campaigns")
    mailings = grouped(
        ((mail["campaign_id"], mail["sent_on"]), mail)
        for mail in database.records("email_metrics")
        if mail["sent_on"] >= days_before(today, 365)
    )
    rows = []
    for (number, sent_on), mails in mailings.items():
        delivered, lost = sum(m["delivered"] for m in mails), sum(m["unsubscribes"] for m in mails)
        rows.append((campaigns[number]["name"], sent_on, delivered, lost, percent(lost, delivered, 3)))
    return sorted(rows, key=lambda row: (-row[4], row[1], row[0]))[:5]


def score_bands(database: DemoDatabase, today: date) -> Answer:
    names = ("00-24", "25-49", "50-74", "75-100")
    bands = grouped(
        (
            "unscored" if lead["score"] is None else names[min(lead["score"] // 25, 3)],
            lead["status"] == "converted",
        )
        for lead in database.records("leads")
    )
    return [(band, len(flags), sum(flags), percent(sum(flags), len(flags))) for band, flags in sorted(bands.items())]


def german_spend(database: DemoDatabase, today: date) -> Answer:
    channels, campaigns = _channels(database), keyed(database, "campaigns")
    by_channel = grouped(
        (channels[spend["campaign_id"]], spend)
        for spend in _spend(database, year_before(today))
        if "DE" in campaigns[spend["campaign_id"]]["target_countries"]
    )
    rows = [
        (channel, len({day["campaign_id"] for day in days}), sum(day["amount"] for day in days))
        for channel, days in by_channel.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0]))
