"""operations_db: a wholesaler of building supplies, its stock, its suppliers and its shipments."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from text2sql.demo.data import operations_schema as schema
from text2sql.demo.data.chance import Crowd, amount, bustle, events, history, midnight, moment, pick
from text2sql.demo.data.names import companies
from text2sql.demo.data.tables import DemoDatabase, DemoTable, Row

_WAREHOUSES: list[Row] = [
    (1, "HAM", "Hamburg", "DE", 90000),
    (2, "LYS", "Lyon", "FR", 60000),
    (3, "RTM", "Rotterdam", "NL", 110000),
    (4, "CHI", "Chicago", "US", 95000),
    (5, "SAO", "São Paulo", "BR", 45000),
    (6, "OSA", "Osaka", "JP", 50000),
]
_BUSY = {1: 0.2, 2: 0.13, 3: 0.24, 4: 0.25, 5: 0.08, 6: 0.1}
# How many times longer than usual a warehouse takes to pack.
_SLOWNESS = {1: 0.8, 2: 1.1, 3: 0.9, 4: 1.0, 5: 1.7, 6: 1.2}
_DESTINATIONS = {
    1: {"DE": 0.6, "SE": 0.2, "NL": 0.2},
    2: {"FR": 0.6, "ES": 0.25, "IT": 0.15},
    3: {"NL": 0.35, "GB": 0.35, "DE": 0.2, "FR": 0.1},
    4: {"US": 0.75, "CA": 0.2, "MX": 0.05},
    5: {"BR": 0.9, "MX": 0.1},
    6: {"JP": 0.8, "AU": 0.2},
}
# Carrier: mode, days on the way, chance of being late, US dollars per kilogram.
_CARRIERS = {
    "Northline Express": ("air", (1, 2), 0.07, 2.9),
    "Kestrel Freight": ("road", (2, 4), 0.12, 0.9),
    "Overland Union": ("road", (2, 5), 0.22, 0.7),
    "Blue Heron Cargo": ("sea", (6, 12), 0.31, 0.4),
    "Parcel Pioneers": ("road", (1, 3), 0.16, 1.2),
}
_CARRIER_SHARES = dict(zip(range(1, 6), (0.12, 0.3, 0.22, 0.1, 0.26), strict=True))
_LOSS = {"BR": 0.03, "MX": 0.025, "IT": 0.012}
_SUPPLIER_COUNTRIES = {"DE": 0.25, "CN": 0.25, "IT": 0.15, "US": 0.2, "PL": 0.15}
# Category: goods, cheapest and dearest piece in USD, lightest and heaviest in kilograms.
_RANGE = {
    "tools": (("Hammer", "Drill", "Saw", "Wrench", "Level", "Plane"), 9, 240, 0.4, 6),
    "fasteners": (("Screws", "Bolts", "Anchors", "Nails", "Rivets"), 2, 30, 0.2, 3),
    "electrical": (("Cable", "Socket", "Switch", "Lamp", "Fuse"), 3, 90, 0.1, 8),
    "safety": (("Helmet", "Gloves", "Goggles", "Harness"), 4, 130, 0.1, 3),
    "paint": (("Primer", "Varnish", "Emulsion", "Sealant"), 8, 75, 0.8, 12),
    "garden": (("Spade", "Rake", "Hose", "Planter"), 7, 95, 0.6, 9),
}
_GRADES = ("Basic", "Plus", "Expert", "XL")


def build(anchor: date) -> DemoDatabase:
    rng = random.Random("operations_db")
    warehouses = [(*row, anchor - timedelta(days=900 + 400 * row[0])) for row in _WAREHOUSES]
    carriers: list[Row] = [(number, name, _CARRIERS[name][0]) for number, name in enumerate(_CARRIERS, 1)]
    suppliers = _suppliers(rng)
    products = _products(rng, suppliers)
    inventory = _inventory(rng, anchor, products)
    purchase_orders, purchase_items = _purchases(rng, anchor, suppliers, products)
    shipments, shipment_items = _shipments(rng, anchor, products)
    return DemoDatabase(
        name="operations_db",
        description="Warehouses, stock, purchasing and shipments of a wholesaler of building supplies",
        dialect="postgres",
        tables=(
            DemoTable("warehouses", "Where goods are kept", schema.WAREHOUSES, warehouses),
            DemoTable("suppliers", "Companies we buy from", schema.SUPPLIERS, suppliers),
            DemoTable("products", "Goods we trade", schema.PRODUCTS, products),
            DemoTable(
                "inventory",
                "Stock per warehouse and product as of this morning",
                schema.INVENTORY,
                inventory,
                ("PRIMARY KEY (warehouse_id, product_id)",),
            ),
            DemoTable("purchase_orders", "Our orders to suppliers", schema.PURCHASE_ORDERS, purchase_orders),
            DemoTable(
                "purchase_order_items",
                "Lines of purchase orders",
                schema.PURCHASE_ORDER_ITEMS,
                purchase_items,
                ("PRIMARY KEY (purchase_order_id, line_no)",),
            ),
            DemoTable("carriers", "Companies that carry our shipments", schema.CARRIERS, carriers),
            DemoTable("shipments", "Deliveries to customers", schema.SHIPMENTS, shipments),
            DemoTable(
                "shipment_items",
                "Goods in each shipment",
                schema.SHIPMENT_ITEMS,
                shipment_items,
                ("PRIMARY KEY (shipment_id, product_id)",),
            ),
        ),
    )


def _suppliers(rng: random.Random) -> list[Row]:
    names = companies(rng)
    return [
        (
            number,
            next(names),
            pick(rng, _SUPPLIER_COUNTRIES),
            rng.randrange(7, 50, 7),
            Decimal(rng.randint(24, 50)) / 10 if rng.random() < 0.85 else None,
            rng.random() < 0.9,
        )
        for number in range(1, 41)
    ]


def _products(rng: random.Random, suppliers: list[Row]) -> list[Row]:
    products: list[Row] = []
    for category, (goods, cheap, dear, light, heavy) in _RANGE.items():
        for good in goods:
            for step, grade in enumerate(_GRADES):
                share = (step + rng.random()) / len(_GRADES)
                number = len(products) + 1
                products.append(
                    (
                        number,
                        f"{category[:2].upper()}{number:04d}",
                        f"{good} {grade}",
                        category,
                        rng.choice(suppliers)[0],
                        amount(cheap + (dear - cheap) * share * rng.uniform(0.3, 1)),
                        Decimal(str(round(light + (heavy - light) * share, 3))),
                        _attributes(rng, category),
                    )
                )
    return products


def _attributes(rng: random.Random, category: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"fragile": category == "electrical" and rng.random() < 0.6}
    if category == "paint":
        attributes["hazard_class"] = rng.choice(("flammable", "irritant"))
        attributes["shelf_life_days"] = rng.choice((365, 540, 730))
    return attributes


def _inventory(rng: random.Random, anchor: date, products: list[Row]) -> list[Row]:
    inventory: list[Row] = []
    for warehouse in _WAREHOUSES:
        for product in products:
            if rng.random() < 0.12:
                continue
            reorder_point = rng.randrange(40, 320, 20)
            on_hand = int(reorder_point * rng.triangular(0.3, 4.5, 1.8))
            counted_on = anchor - timedelta(days=rng.randint(1, 300)) if rng.random() < 0.9 else None
            reserved = int(on_hand * rng.uniform(0, 0.4))
            inventory.append((warehouse[0], product[0], on_hand, reserved, reorder_point, counted_on))
    return inventory


def _purchases(
    rng: random.Random, anchor: date, suppliers: list[Row], products: list[Row]
) -> tuple[list[Row], list[Row]]:
    orders: list[Row] = []
    items: list[Row] = []
    tardiness = {supplier[0]: rng.uniform(0.05, 0.5) for supplier in suppliers}
    for day in history(anchor):
        for _ in range(events(rng, 2.4 * bustle(day, anchor))):
            supplier = rng.choice(suppliers)
            goods = [product for product in products if product[4] == supplier[0]]
            is_cut_off = not supplier[5] and day > anchor - timedelta(days=120)
            if not goods or is_cut_off:
                continue
            number = len(orders) + 1
            expected_on = day + timedelta(days=supplier[3])
            delay = rng.randint(1, 18) if rng.random() < tardiness[supplier[0]] else -rng.randint(0, 2)
            arrived_on = expected_on + timedelta(days=delay)
            # Some goods of the last quarter are stuck in customs.
            is_stuck = rng.random() < 0.02 and expected_on > anchor - timedelta(days=90)
            has_arrived = arrived_on < anchor and not is_stuck
            status = "cancelled" if rng.random() < 0.03 else "received" if has_arrived else "open"
            received_on = arrived_on if status == "received" else None
            orders.append((number, supplier[0], pick(rng, _BUSY), day, expected_on, received_on, status))
            for line_no, product in enumerate(rng.sample(goods, min(len(goods), rng.randint(1, 4))), 1):
                quantity = rng.randrange(20, 400, 20)
                missing = rng.randint(1, 15) if rng.random() < tardiness[supplier[0]] / 2 else 0
                arrived = quantity - missing if received_on else None
                cost = amount(product[5] * Decimal(rng.randint(94, 106)) / 100)
                items.append((number, line_no, product[0], quantity, arrived, cost))
    return orders, items


def _shipments(rng: random.Random, anchor: date, products: list[Row]) -> tuple[list[Row], list[Row]]:
    # Nobody orders the last twentieth of the range any more.
    crowd = Crowd(rng, [(date.min, rng.lognormvariate(0, 0.9), product) for product in products if rng.random() > 0.05])
    shipments: list[Row] = []
    items: list[Row] = []
    for day in history(anchor):
        for created_at in sorted(moment(rng, day) for _ in range(events(rng, 7 * bustle(day, anchor)))):
            number = len(shipments) + 1
            goods = {product[0]: product for product in (crowd.draw(day) for _ in range(rng.randint(1, 4)))}
            weight = Decimal(0)
            for product in goods.values():
                quantity = rng.choice((1, 2, 2, 4, 6, 10, 20))
                weight += quantity * product[6]
                items.append((number, product[0], quantity))
            shipments.append((number, *_journey(rng, anchor, created_at, weight)))
    return shipments, items


def _journey(rng: random.Random, anchor: date, created_at: datetime, weight: Decimal) -> Row:
    """All columns of a shipment after its number, as known before `anchor`."""
    warehouse, carrier = pick(rng, _BUSY), pick(rng, _CARRIER_SHARES)
    destination = pick(rng, _DESTINATIONS[warehouse])
    _, (fastest, slowest), tardiness, rate = tuple(_CARRIERS.values())[carrier - 1]
    shipped_at = created_at + timedelta(minutes=int(rng.triangular(120, 3600, 600) * _SLOWNESS[warehouse]))
    promised_on = (created_at + timedelta(days=slowest + 3)).date()
    days = rng.uniform(fastest, slowest) + (rng.uniform(3, 8) if rng.random() < tardiness else 0)
    delivered_at = shipped_at + timedelta(minutes=int(days * 1440))
    is_lost = rng.random() < _LOSS.get(destination, 0.004)
    now = midnight(anchor)
    if shipped_at >= now:
        status, left_at, arrived_at = "packing", None, None
    elif delivered_at >= now:
        status, left_at, arrived_at = "in_transit", shipped_at, None
    else:
        status, left_at, arrived_at = ("lost" if is_lost else "delivered"), shipped_at, delivered_at
    freight = amount(6 + float(weight) * rate * rng.uniform(0.9, 1.15))
    if status == "lost":
        arrived_at = None
    return (warehouse, carrier, destination, created_at, left_at, promised_on, arrived_at, status, freight)
