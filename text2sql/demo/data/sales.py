"""sales_db: a maker of office furniture that sells to companies."""

import itertools
import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from text2sql.demo.data import sales_schema as schema
from text2sql.demo.data.chance import Crowd, amount, bustle, events, history, moment, pick
from text2sql.demo.data.names import CITIES, companies, domain_of, mailbox, people
from text2sql.demo.data.tables import DemoDatabase, DemoTable, Row

_REGIONS = {
    "North America": ("US", "CA"),
    "UK and Ireland": ("GB",),
    "Central Europe": ("DE", "NL"),
    "Southern Europe": ("FR", "ES", "IT"),
    "Latin America": ("BR", "MX"),
    "Asia Pacific": ("JP", "IN", "AU"),
}
_REGION_WEIGHTS = dict(zip(range(1, 7), (0.34, 0.14, 0.2, 0.14, 0.08, 0.1), strict=True))
_INDUSTRIES = ("education", "finance", "healthcare", "hospitality", "manufacturing", "public", "software")
_SEGMENTS = {"enterprise": 0.14, "mid_market": 0.34, "small_business": 0.52}
_APPETITE = {"enterprise": 3.2, "mid_market": 1.4, "small_business": 0.6}
_QUANTITIES = {"enterprise": (2, 24), "mid_market": (1, 10), "small_business": (1, 4)}
_DISCOUNTS = {
    "enterprise": {0: 0.2, 5: 0.2, 10: 0.3, 15: 0.2, 20: 0.1},
    "mid_market": {0: 0.45, 5: 0.3, 10: 0.2, 15: 0.05},
    "small_business": {0: 0.8, 5: 0.15, 10: 0.05},
}
_CHANNELS = {
    "enterprise": {"field": 0.7, "partner": 0.2, "web": 0.1},
    "mid_market": {"field": 0.4, "partner": 0.25, "web": 0.35},
    "small_business": {"field": 0.1, "partner": 0.15, "web": 0.75},
}
# Category: models, list price of the simplest and the finest, and share of pieces that come back.
_CATALOGUE = {
    "desks": (("Fold", "Plank", "Rise", "Corner", "Bench", "Studio"), 240, 890, 0.04),
    "chairs": (("Perch", "Lumbar", "Glide", "Mesh", "Saddle", "Lounge"), 120, 640, 0.07),
    "storage": (("Cube", "Rail", "Locker", "Drawer", "Archive"), 80, 420, 0.03),
    "lighting": (("Halo", "Beam", "Clip", "Dome", "Strip"), 35, 260, 0.06),
    "screens": (("Panel", "Felt", "Glass", "Hush"), 90, 380, 0.05),
    "accessories": (("Mat", "Tray", "Arm", "Hook", "Dock", "Rest"), 15, 140, 0.09),
}
_SIZES = ("Mini", "One", "Pro")
_REASONS = {"damaged": 0.28, "wrong_item": 0.14, "not_as_described": 0.2, "changed_mind": 0.3, "late": 0.08}


def build(anchor: date) -> DemoDatabase:
    rng = random.Random("sales_db")
    regions: list[Row] = [(number, name, list(_REGIONS[name])) for number, name in enumerate(_REGIONS, 1)]
    reps = _sales_reps(rng, anchor)
    customers = _customers(rng, anchor, reps)
    products = _products(rng, anchor)
    orders = _orders(rng, anchor, customers, reps)
    items = _order_items(rng, anchor, orders, customers, products)
    returns = _returns(rng, anchor, orders, items, products)
    targets = _sales_targets(rng, orders, items, customers)
    return DemoDatabase(
        name="sales_db",
        description="Customers, orders, returns and sales targets of a maker of office furniture",
        dialect="postgres",
        tables=(
            DemoTable("regions", "Sales regions", schema.REGIONS, regions),
            DemoTable("sales_reps", "Sales representatives, past and present", schema.SALES_REPS, reps),
            DemoTable("customers", "Companies that have an account with us", schema.CUSTOMERS, customers),
            DemoTable("products", "The catalogue, with what is no longer sold", schema.PRODUCTS, products),
            DemoTable("orders", "Orders, one row each; amounts are in order_items", schema.ORDERS, orders),
            DemoTable(
                "order_items",
                "Lines of orders; revenue is the sum of line_total",
                schema.ORDER_ITEMS,
                items,
                ("PRIMARY KEY (order_id, line_no)",),
            ),
            DemoTable(
                "returns",
                "Goods sent back after delivery",
                schema.RETURNS,
                returns,
                ("FOREIGN KEY (order_id, line_no) REFERENCES order_items",),
            ),
            DemoTable(
                "sales_targets",
                "Planned revenue per region and calendar quarter",
                schema.SALES_TARGETS,
                targets,
                ("PRIMARY KEY (region_id, quarter_start)",),
            ),
        ),
    )


def _sales_reps(rng: random.Random, anchor: date) -> list[Row]:
    names = people(rng)
    reps: list[Row] = []
    for region, weight in _REGION_WEIGHTS.items():
        manager = len(reps) + 1
        for _ in range(3 + int(weight * 16)):
            name = next(names)
            is_manager = len(reps) + 1 == manager
            hired_on = anchor - timedelta(days=rng.randint(1100, 2600) if is_manager else rng.randint(90, 1900))
            has_left = not is_manager and hired_on < anchor - timedelta(days=600) and rng.random() < 0.25
            reps.append(
                (
                    len(reps) + 1,
                    name,
                    mailbox(name, "deskwright.example"),
                    region,
                    None if is_manager else manager,
                    hired_on,
                    anchor - timedelta(days=rng.randint(30, 420)) if has_left else None,
                    amount(rng.randrange(80, 240, 10) * 1000),
                )
            )
    return reps


def _customers(rng: random.Random, anchor: date, reps: list[Row]) -> list[Row]:
    names = companies(rng)
    employed = [rep for rep in reps if rep[6] is None]
    opened = sorted(anchor - timedelta(days=int(rng.triangular(5, 1800, 700))) for _ in range(620))
    customers: list[Row] = []
    for number, created_on in enumerate(opened, 1):
        name, segment, region = next(names), pick(rng, _SEGMENTS), pick(rng, _REGION_WEIGHTS)
        country = rng.choice(tuple(_REGIONS.values())[region - 1])
        rep = rng.choice([rep for rep in employed if rep[3] == region])
        looked_after = rng.random() < (0.35 if segment == "small_business" else 0.95)
        customers.append(
            (
                number,
                name,
                segment,
                rng.choice(_INDUSTRIES),
                region,
                country,
                rng.choice(CITIES[country]),
                rep[0] if looked_after else None,
                f"billing@{domain_of(name)}" if rng.random() < 0.92 else None,
                created_on,
            )
        )
    return customers


def _products(rng: random.Random, anchor: date) -> list[Row]:
    products: list[Row] = []
    for category, (models, cheap, dear, _) in _CATALOGUE.items():
        for place, model in enumerate(models):
            for step, size in enumerate(_SIZES):
                share = (place + step * 0.8) / (len(models) + 1)
                price = amount(round(cheap + (dear - cheap) * share) - Decimal("0.05"))
                launched_on = anchor - timedelta(days=rng.choice((60, 200, 450, 900, 900, 1200, 1500, 1800)))
                is_old = launched_on < anchor - timedelta(days=700) and rng.random() < 0.15
                tags = [tag for tag in ("eco", "ergonomic", "bestseller") if rng.random() < 0.25]
                products.append(
                    (
                        len(products) + 1,
                        f"{category[:3].upper()}-{place + 1:02d}{size[0]}",
                        f"{model} {size}",
                        category,
                        price,
                        amount(price * Decimal(rng.randint(42, 68)) / 100),
                        launched_on,
                        anchor - timedelta(days=rng.randint(40, 400)) if is_old else None,
                        tags,
                    )
                )
    return products


def _orders(rng: random.Random, anchor: date, customers: list[Row], reps: list[Row]) -> list[Row]:
    # A few accounts were opened and never used: they are in no crowd.
    crowd = Crowd(
        rng,
        [
            (customer[9], _APPETITE[customer[2]] * rng.lognormvariate(0, 0.8), customer)
            for customer in customers
            if rng.random() > 0.05
        ],
    )
    orders: list[Row] = []
    for day in history(anchor):
        for ordered_at in sorted(moment(rng, day) for _ in range(events(rng, 8 * bustle(day, anchor)))):
            customer = crowd.draw(day)
            channel = pick(rng, _CHANNELS[customer[2]])
            rep = _credited_rep(rng, customer, channel, day, reps)
            progress = _order_progress(rng, anchor, day, customer[4])
            orders.append((len(orders) + 1, customer[0], rep, ordered_at, channel, *progress))
    return orders


def _credited_rep(rng: random.Random, customer: Row, channel: str, day: date, reps: list[Row]) -> int | None:
    if channel == "web" or (channel == "partner" and rng.random() < 0.5):
        return None
    account_rep = customer[7]
    if account_rep is not None and reps[account_rep - 1][5] <= day:
        return int(account_rep)
    present = [rep[0] for rep in reps if rep[3] == customer[4] and rep[5] <= day and (rep[6] is None or day < rep[6])]
    return int(rng.choice(present))


def _order_progress(rng: random.Random, anchor: date, day: date, region: int) -> tuple[str, date | None, date | None]:
    """Status, day shipped and day delivered of an order placed on `day`, as known before `anchor`."""
    paid_on = day + timedelta(days=pick(rng, {0: 0.7, 1: 0.15, 3: 0.1, 9: 0.05}))
    shipped_on = paid_on + timedelta(days=rng.randint(1, 4))
    delivered_on = shipped_on + timedelta(days=rng.randint(2, 5) + (3 if region >= 5 else 0))
    if rng.random() < 0.05:
        return "cancelled", None, None
    if paid_on >= anchor:
        return "pending", None, None
    if shipped_on >= anchor:
        return "paid", None, None
    if delivered_on >= anchor:
        return "shipped", shipped_on, None
    return "delivered", shipped_on, delivered_on


def _order_items(
    rng: random.Random, anchor: date, orders: list[Row], customers: list[Row], products: list[Row]
) -> list[Row]:
    segments = {customer[0]: customer[2] for customer in customers}
    love = list(itertools.accumulate(rng.lognormvariate(0, 0.6) for _ in products))
    always_there = min(products, key=lambda product: (product[7] is not None, product[6], product[0]))
    items: list[Row] = []
    for order in orders:
        day, segment = order[3].date(), segments[order[1]]
        lines = pick(rng, {1: 0.3, 2: 0.28, 3: 0.22, 4: 0.12, 5: 0.08})
        drawn = {product[0]: product for product in rng.choices(products, cum_weights=love, k=lines)}
        chosen = [product for product in drawn.values() if product[6] <= day < (product[7] or date.max)]
        for line_no, product in enumerate(chosen or [always_there], 1):
            # Prices rise by four per cent on the first of January.
            unit_price = amount(product[4] / Decimal("1.04") ** (anchor.year - day.year))
            quantity = rng.randint(*_QUANTITIES[segment])
            discount = amount(pick(rng, _DISCOUNTS[segment]))
            total = amount(unit_price * quantity * (100 - discount) / 100)
            items.append((order[0], line_no, product[0], quantity, unit_price, discount, total))
    return items


def _returns(rng: random.Random, anchor: date, orders: list[Row], items: list[Row], products: list[Row]) -> list[Row]:
    delivered = {order[0]: order[7] for order in orders if order[7] is not None}
    risk = {product[0]: _CATALOGUE[product[3]][3] for product in products}
    returns: list[Row] = []
    for order_id, line_no, product_id, quantity, _, _, line_total in items:
        if order_id not in delivered or rng.random() >= risk[product_id]:
            continue
        requested_on = delivered[order_id] + timedelta(days=rng.randint(1, 30))
        if requested_on >= anchor:
            continue
        sent_back = rng.randint(1, quantity)
        is_disputed = rng.random() < 0.06
        refunded_on = requested_on + timedelta(days=rng.randint(2, 12))
        returns.append(
            (
                len(returns) + 1,
                order_id,
                line_no,
                sent_back,
                pick(rng, _REASONS),
                requested_on,
                None if is_disputed or refunded_on >= anchor else refunded_on,
                amount(line_total * sent_back / quantity),
            )
        )
    return returns


def _sales_targets(rng: random.Random, orders: list[Row], items: list[Row], customers: list[Row]) -> list[Row]:
    """Plans near what was sold, for every quarter that has orders."""
    region_of = {customer[0]: customer[4] for customer in customers}
    key_of = {
        order[0]: (region_of[order[1]], date(order[3].year, (order[3].month - 1) // 3 * 3 + 1, 1)) for order in orders
    }
    sold: dict[tuple[int, date], Decimal] = defaultdict(Decimal)
    for item in items:
        sold[key_of[item[0]]] += item[6]
    quarters = sorted({quarter for _, quarter in sold})
    usual = {
        region: sum((sold[region, quarter] for quarter in quarters), Decimal()) / len(quarters)
        for region in _REGION_WEIGHTS
    }
    return [
        (region, quarter, amount(round(usual[region] * Decimal(rng.randint(82, 118)) / 100, -3)))
        for quarter in quarters
        for region in _REGION_WEIGHTS
    ]
