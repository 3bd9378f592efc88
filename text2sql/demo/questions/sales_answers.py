"""The answers of sales_db, reckoned from its rows."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from text2sql.demo.data.chance import midnight
from text2sql.demo.data.tables import DemoDatabase, Record
from text2sql.demo.questions.reckoning import (
    change,
    counts,
    days_before,
    grouped,
    keyed,
    month_start,
    percent,
    quarter_start,
    ratio,
    totals,
    year_before,
)

Answer = list[tuple[Any, ...]]


def _sold(database: DemoDatabase, since: date, until: date = date.max) -> Iterator[tuple[Record, Record]]:
    """Orders placed from `since` until before `until` and not cancelled, with each of their lines."""
    orders = keyed(database, "orders")
    for item in database.records("order_items"):
        order = orders[item["order_id"]]
        if order["status"] != "cancelled" and since <= order["ordered_at"].date() < until:
            yield order, item


def top_customers(database: DemoDatabase, today: date) -> Answer:
    customers = keyed(database, "customers")
    revenue = totals(
        (order["customer_id"], item["line_total"]) for order, item in _sold(database, days_before(today, 90))
    )
    rows = [(customers[who]["name"], customers[who]["segment"], total) for who, total in revenue.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))[:5]


def monthly_revenue(database: DemoDatabase, today: date) -> Answer:
    sold = list(_sold(database, month_start(today, 12), month_start(today)))
    revenue = totals((month_start(order["ordered_at"].date()), item["line_total"]) for order, item in sold)
    orders = counts(month for month, _ in {(month_start(o["ordered_at"].date()), o["id"]) for o, _ in sold})
    months = sorted(revenue)
    return [
        (f"{month:%Y-%m}", orders[month], revenue[month], change(revenue[month], revenue.get(before)))
        for before, month in zip([date.min, *months], months, strict=False)
    ]


def best_sellers(database: DemoDatabase, today: date) -> Answer:
    products = keyed(database, "products")
    revenue = totals((item["product_id"], item["line_total"]) for _, item in _sold(database, days_before(today, 365)))
    by_category = grouped(
        (products[number]["category"], (-total, products[number]["name"])) for number, total in revenue.items()
    )
    return [
        (category, place, name, -loss)
        for category in sorted(by_category)
        for place, (loss, name) in enumerate(sorted(by_category[category])[:3], 1)
    ]


def segment_shares(database: DemoDatabase, today: date) -> Answer:
    customers = keyed(database, "customers")
    revenue = totals(
        (customers[order["customer_id"]]["segment"], item["line_total"])
        for order, item in _sold(database, year_before(today))
    )
    whole = sum(revenue.values())
    rows = [(segment, total, percent(total, whole)) for segment, total in revenue.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def silent_customers(database: DemoDatabase, today: date) -> Answer:
    regions = keyed(database, "regions")
    buyers = {order["customer_id"] for order in database.records("orders")}
    rows = [
        (customer["name"], customer["segment"], regions[customer["region_id"]]["name"], customer["created_on"])
        for customer in database.records("customers")
        if customer["id"] not in buyers
    ]
    return sorted(rows, key=lambda row: (row[3], row[0]))


def order_values(database: DemoDatabase, today: date) -> Answer:
    sold = list(_sold(database, quarter_start(today, 1), quarter_start(today)))
    revenue = totals((order["channel"], item["line_total"]) for order, item in sold)
    orders = counts(channel for channel, _ in {(order["channel"], order["id"]) for order, _ in sold})
    rows = [(channel, orders[channel], ratio(total, orders[channel], 2)) for channel, total in revenue.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def return_rates(database: DemoDatabase, today: date) -> Answer:
    products, orders = keyed(database, "products"), keyed(database, "orders")
    category = {
        (item["order_id"], item["line_no"]): products[item["product_id"]]["category"]
        for item in database.records("order_items")
    }
    delivered = totals(
        (category[item["order_id"], item["line_no"]], item["quantity"])
        for item in database.records("order_items")
        if orders[item["order_id"]]["status"] == "delivered"
    )
    returned = totals(
        (category[back["order_id"], back["line_no"]], back["quantity"]) for back in database.records("returns")
    )
    rows = [
        (name, pieces, returned.get(name, 0), percent(returned.get(name, 0), pieces, 2))
        for name, pieces in delivered.items()
    ]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def rep_sales(database: DemoDatabase, today: date) -> Answer:
    regions = keyed(database, "regions")
    sold = list(_sold(database, days_before(today, 90)))
    revenue = totals((order["sales_rep_id"], item["line_total"]) for order, item in sold)
    orders = counts(rep for rep, _ in {(order["sales_rep_id"], order["id"]) for order, _ in sold})
    rows = [
        (rep["full_name"], regions[rep["region_id"]]["name"], orders[rep["id"]], revenue.get(rep["id"], Decimal(0)))
        for rep in database.records("sales_reps")
        if rep["left_on"] is None
    ]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def target_attainment(database: DemoDatabase, today: date) -> Answer:
    customers, regions = keyed(database, "customers"), keyed(database, "regions")
    quarter = quarter_start(today, 1)
    revenue = totals(
        (customers[order["customer_id"]]["region_id"], item["line_total"])
        for order, item in _sold(database, quarter, quarter_start(today))
    )
    rows = []
    for target in database.records("sales_targets"):
        if target["quarter_start"] == quarter:
            plan, total = target["target_amount"], revenue.get(target["region_id"], Decimal(0))
            rows.append((regions[target["region_id"]]["name"], plan, total, percent(total, plan), total >= plan))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def delivery_days(database: DemoDatabase, today: date) -> Answer:
    customers, regions = keyed(database, "customers"), keyed(database, "regions")
    days = grouped(
        (
            regions[customers[order["customer_id"]]["region_id"]]["name"],
            (order["delivered_on"] - order["ordered_at"].date()).days,
        )
        for order in database.records("orders")
        if order["delivered_on"] and order["ordered_at"] >= midnight(days_before(today, 180))
    )
    rows = [(region, len(taken), ratio(sum(taken), len(taken), 1), max(taken)) for region, taken in days.items()]
    return sorted(rows, key=lambda row: (row[2], row[0]))


def cancellations(database: DemoDatabase, today: date) -> Answer:
    by_month = grouped(
        (month_start(order["ordered_at"].date()), order["status"] == "cancelled")
        for order in database.records("orders")
        if month_start(today, 6) <= order["ordered_at"].date() < month_start(today)
    )
    return [
        (f"{month:%Y-%m}", len(flags), sum(flags), percent(sum(flags), len(flags)))
        for month, flags in sorted(by_month.items())
    ]


def new_and_returning(database: DemoDatabase, today: date) -> Answer:
    first: dict[int, Any] = {}
    for order in database.records("orders"):
        if order["status"] != "cancelled":
            who = order["customer_id"]
            first[who] = min(first.get(who, order["ordered_at"]), order["ordered_at"])
    revenue = totals(
        (
            (month_start(order["ordered_at"].date()), order["ordered_at"] == first[order["customer_id"]]),
            item["line_total"],
        )
        for order, item in _sold(database, month_start(today, 6), month_start(today))
    )
    return [
        (f"{month:%Y-%m}", revenue.get((month, True), 0), revenue.get((month, False), 0))
        for month in sorted({month for month, _ in revenue})
    ]


def slow_movers(database: DemoDatabase, today: date) -> Answer:
    pieces = totals((item["product_id"], item["quantity"]) for _, item in _sold(database, days_before(today, 60)))
    rows = [
        (product["sku"], product["name"], pieces.get(product["id"], 0))
        for product in database.records("products")
        if product["discontinued_on"] is None or product["discontinued_on"] > today
    ]
    return sorted(rows, key=lambda row: (row[2], row[0]))[:10]


def gross_margins(database: DemoDatabase, today: date) -> Answer:
    products = keyed(database, "products")
    sold = [(products[item["product_id"]], item) for _, item in _sold(database, year_before(today))]
    revenue = totals((product["category"], item["line_total"]) for product, item in sold)
    cost = totals((product["category"], item["quantity"] * product["unit_cost"]) for product, item in sold)
    rows = [(name, total, cost[name], percent(total - cost[name], total)) for name, total in revenue.items()]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def eco_revenue(database: DemoDatabase, today: date) -> Answer:
    products = keyed(database, "products")
    revenue = totals(
        (
            (quarter_start(order["ordered_at"].date()), "eco" in products[item["product_id"]]["tags"]),
            item["line_total"],
        )
        for order, item in _sold(database, quarter_start(today, 4), quarter_start(today))
    )
    rows = []
    for quarter in sorted({quarter for quarter, _ in revenue}):
        eco, other = revenue[quarter, True], revenue[quarter, False]
        label = f"{quarter.year}-Q{(quarter.month + 2) // 3}"
        rows.append((label, eco, percent(eco, eco + other)))
    return rows


def open_refunds(database: DemoDatabase, today: date) -> Answer:
    waiting = grouped((back["reason"], back) for back in database.records("returns") if back["refunded_on"] is None)
    rows = [
        (
            reason,
            len(backs),
            sum(back["refund_amount"] for back in backs),
            max((today - back["requested_on"]).days for back in backs),
        )
        for reason, backs in waiting.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0]))
