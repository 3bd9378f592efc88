"""The answers of operations_db, reckoned from its rows."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from text2sql.demo.data.chance import midnight
from text2sql.demo.data.tables import DemoDatabase, Record
from text2sql.demo.questions.reckoning import (
    counts,
    days_before,
    grouped,
    keyed,
    month_start,
    months_before,
    percent,
    ratio,
    rounded,
    totals,
    week_start,
    year_before,
)

Answer = list[tuple[Any, ...]]


def _shipped(database: DemoDatabase, since: date) -> list[Record]:
    return [
        shipment
        for shipment in database.records("shipments")
        if shipment["shipped_at"] and shipment["shipped_at"] >= midnight(since)
    ]


def _purchases_by_supplier(database: DemoDatabase, orders: dict[int, Record]) -> dict[int, list[tuple[Record, Record]]]:
    """The lines of those purchase orders, each with its order, per supplier."""
    return grouped(
        (orders[item["purchase_order_id"]]["supplier_id"], (orders[item["purchase_order_id"]], item))
        for item in database.records("purchase_order_items")
        if item["purchase_order_id"] in orders
    )


def _stock_by_warehouse(database: DemoDatabase) -> list[tuple[Record, list[tuple[Record, Record]]]]:
    """Every warehouse with its stock positions and their products."""
    warehouses, products = keyed(database, "warehouses"), keyed(database, "products")
    positions = grouped(
        (stock["warehouse_id"], (stock, products[stock["product_id"]])) for stock in database.records("inventory")
    )
    return [(warehouses[number], stock) for number, stock in positions.items()]


def punctuality(database: DemoDatabase, today: date) -> Answer:
    by_carrier = grouped(
        (shipment["carrier_id"], shipment["delivered_at"].date() <= shipment["promised_on"])
        for shipment in database.records("shipments")
        if shipment["delivered_at"] and shipment["delivered_at"] >= midnight(days_before(today, 90))
    )
    rows = [
        (carrier["name"], carrier["mode"], len(flags), sum(flags), percent(sum(flags), len(flags)))
        for carrier in database.records("carriers")
        if (flags := by_carrier.get(carrier["id"]))
    ]
    return sorted(rows, key=lambda row: (-row[4], row[0]))


def shortages(database: DemoDatabase, today: date) -> Answer:
    rows = []
    for warehouse, positions in _stock_by_warehouse(database):
        for stock, product in positions:
            free, limit = stock["on_hand"] - stock["reserved"], stock["reorder_point"]
            if free < limit:
                rows.append((warehouse["code"], product["sku"], product["name"], free, limit, limit - free))
    return sorted(rows, key=lambda row: (-row[5], row[0], row[1]))[:20]


def supplier_reliability(database: DemoDatabase, today: date) -> Answer:
    delays = grouped(
        (order["supplier_id"], (order["received_on"] - order["expected_on"]).days)
        for order in database.records("purchase_orders")
        if order["received_on"] and order["received_on"] >= year_before(today)
    )
    rows = []
    for number, supplier in keyed(database, "suppliers").items():
        days = delays.get(number, [])
        late = [delay for delay in days if delay > 0]
        if len(days) >= 10:
            average = ratio(sum(late), len(late), 1) if late else None
            rows.append((supplier["name"], len(days), len(late), percent(len(late), len(days)), average))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def stock_values(database: DemoDatabase, today: date) -> Answer:
    values = [
        (warehouse["code"], warehouse["city"], sum(stock["on_hand"] * p["unit_cost"] for stock, p in positions))
        for warehouse, positions in _stock_by_warehouse(database)
    ]
    whole = sum(value for _, _, value in values)
    rows = [(code, city, value, percent(value, whole)) for code, city, value in values]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def monthly_freight(database: DemoDatabase, today: date) -> Answer:
    by_month = grouped(
        (month_start(shipment["shipped_at"].date()), shipment["freight_cost"])
        for shipment in _shipped(database, month_start(today, 12))
        if shipment["shipped_at"] < midnight(month_start(today))
    )
    return [
        (f"{month:%Y-%m}", len(costs), sum(costs), ratio(sum(costs), len(costs), 2))
        for month, costs in sorted(by_month.items())
    ]


def busiest_products(database: DemoDatabase, today: date) -> Answer:
    warehouses, products = keyed(database, "warehouses"), keyed(database, "products")
    origin = {shipment["id"]: shipment["warehouse_id"] for shipment in _shipped(database, days_before(today, 90))}
    pieces = totals(
        ((origin[item["shipment_id"]], item["product_id"]), item["quantity"])
        for item in database.records("shipment_items")
        if item["shipment_id"] in origin
    )
    moved = grouped(
        (warehouses[place]["code"], (-number, products[product]["name"])) for (place, product), number in pieces.items()
    )
    return [
        (code, place, name, -loss)
        for code in sorted(moved)
        for place, (loss, name) in enumerate(sorted(moved[code])[:3], 1)
    ]


def overdue_purchases(database: DemoDatabase, today: date) -> Answer:
    suppliers, warehouses = keyed(database, "suppliers"), keyed(database, "warehouses")
    rows = [
        (
            order["id"],
            suppliers[order["supplier_id"]]["name"],
            warehouses[order["warehouse_id"]]["code"],
            order["expected_on"],
            (today - order["expected_on"]).days,
        )
        for order in database.records("purchase_orders")
        if order["status"] == "open" and order["expected_on"] < today
    ]
    return sorted(rows, key=lambda row: (-row[4], row[0]))


def packing_hours(database: DemoDatabase, today: date) -> Answer:
    warehouses = keyed(database, "warehouses")
    seconds = grouped(
        (
            warehouses[shipment["warehouse_id"]]["code"],
            int((shipment["shipped_at"] - shipment["created_at"]).total_seconds()),
        )
        for shipment in database.records("shipments")
        if shipment["shipped_at"] and shipment["created_at"] >= midnight(days_before(today, 60))
    )
    rows = [(code, len(taken), ratio(sum(taken), len(taken) * 3600, 1)) for code, taken in seconds.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def cost_per_kilogram(database: DemoDatabase, today: date) -> Answer:
    products, carriers = keyed(database, "products"), keyed(database, "carriers")
    weights = totals(
        (item["shipment_id"], item["quantity"] * products[item["product_id"]]["weight_kg"])
        for item in database.records("shipment_items")
    )
    by_carrier = grouped(
        (carriers[shipment["carrier_id"]]["name"], (weights[shipment["id"]], shipment["freight_cost"]))
        for shipment in _shipped(database, months_before(today, 6))
    )
    rows = []
    for carrier, loads in by_carrier.items():
        weight, cost = sum(load for load, _ in loads), sum(price for _, price in loads)
        rows.append((carrier, rounded(weight, 1), cost, ratio(cost, weight, 2)))
    return sorted(rows, key=lambda row: (row[3], row[0]))


def dead_stock(database: DemoDatabase, today: date) -> Answer:
    recent = {shipment["id"] for shipment in _shipped(database, days_before(today, 120))}
    moving = {item["product_id"] for item in database.records("shipment_items") if item["shipment_id"] in recent}
    pieces = totals((s["product_id"], s["on_hand"]) for s in database.records("inventory") if s["on_hand"] > 0)
    rows = [
        (product["sku"], product["name"], pieces[number], pieces[number] * product["unit_cost"])
        for number, product in keyed(database, "products").items()
        if number in pieces and number not in moving
    ]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def purchasing_countries(database: DemoDatabase, today: date) -> Answer:
    suppliers = keyed(database, "suppliers")
    orders = {
        order["id"]: order
        for order in database.records("purchase_orders")
        if order["status"] != "cancelled" and order["ordered_on"] >= days_before(today, 365)
    }
    volume: dict[str, Decimal] = {}
    numbers: dict[str, set[int]] = {}
    for supplier, lines in _purchases_by_supplier(database, orders).items():
        country = suppliers[supplier]["country"]
        cost = sum((item["quantity"] * item["unit_cost"] for _, item in lines), Decimal(0))
        volume[country] = volume.get(country, Decimal(0)) + cost
        numbers.setdefault(country, set()).update(order["id"] for order, _ in lines)
    whole = sum(volume.values())
    rows = [(country, len(numbers[country]), cost, percent(cost, whole)) for country, cost in volume.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def lost_shipments(database: DemoDatabase, today: date) -> Answer:
    ended = grouped(
        (shipment["destination_country"], shipment["status"] == "lost")
        for shipment in database.records("shipments")
        if shipment["status"] in {"delivered", "lost"}
    )
    rows = [(country, len(flags), sum(flags), percent(sum(flags), len(flags), 2)) for country, flags in ended.items()]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def fill_rates(database: DemoDatabase, today: date) -> Answer:
    suppliers = keyed(database, "suppliers")
    orders = {
        order["id"]: order
        for order in database.records("purchase_orders")
        if order["received_on"] and order["received_on"] >= days_before(today, 365)
    }
    rows = []
    for number, lines in _purchases_by_supplier(database, orders).items():
        ordered = sum(item["quantity"] for _, item in lines)
        received = sum(item["received_quantity"] for _, item in lines)
        supplier = suppliers[number]
        rows.append((supplier["name"], supplier["rating"], ordered, received, percent(received, ordered, 2)))
    return sorted(rows, key=lambda row: (row[4], row[0]))[:5]


def delicate_stock(database: DemoDatabase, today: date) -> Answer:
    rows = [
        (
            warehouse["code"],
            sum(stock["on_hand"] for stock, product in positions if product["attributes"]["fragile"]),
            sum(stock["on_hand"] for stock, product in positions if "hazard_class" in product["attributes"]),
            sum(stock["on_hand"] for stock, _ in positions),
        )
        for warehouse, positions in _stock_by_warehouse(database)
    ]
    return sorted(rows)


def warehouse_use(database: DemoDatabase, today: date) -> Answer:
    rows = []
    for warehouse, positions in _stock_by_warehouse(database):
        pieces = sum(stock["on_hand"] for stock, _ in positions)
        uncounted = sum(stock["counted_on"] is None for stock, _ in positions)
        room = warehouse["capacity_units"]
        rows.append((warehouse["code"], room, pieces, percent(pieces, room), uncounted))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def weekdays(database: DemoDatabase, today: date) -> Answer:
    shipments = counts(
        shipment["created_at"].isoweekday()
        for shipment in database.records("shipments")
        if week_start(today, 12) <= shipment["created_at"].date() < week_start(today)
    )
    rows = [(day, number, rounded(Fraction(number, 12), 1)) for day, number in shipments.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))
