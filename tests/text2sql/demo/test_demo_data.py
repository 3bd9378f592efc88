"""The demo rows: the same every time, and true to themselves."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from text2sql.demo.data import DATABASE_NAMES, build
from text2sql.demo.data.tables import DemoDatabase

ANCHOR = date(2026, 3, 1)
# Dates that say when something is due, planned or promised may lie ahead.
_MAY_LIE_AHEAD = {"starts_on", "ends_on", "promised_on", "expected_on"}


@pytest.fixture(scope="module", params=DATABASE_NAMES)
def database(request: pytest.FixtureRequest) -> DemoDatabase:
    return build(request.param, ANCHOR)


def _moment(value: object) -> datetime | None:
    """Dates and times, also those that SQLite keeps as text."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", value):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def test_building_twice_gives_the_same_database(database: DemoDatabase) -> None:
    assert build(database.name, ANCHOR) == database


def test_another_day_gives_other_rows(database: DemoDatabase) -> None:
    assert build(database.name, ANCHOR + timedelta(days=1)) != database


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError):
        build("payroll_db", ANCHOR)


def test_a_database_has_thousands_of_rows(database: DemoDatabase) -> None:
    assert sum(len(table.rows) for table in database.tables) > 8_000
    assert all(table.rows for table in database.tables)


def test_every_table_and_column_has_a_comment(database: DemoDatabase) -> None:
    for table in database.tables:
        assert len(table.comment) > 5, table.name
        for column in table.columns:
            assert len(column.comment) > 2, f"{table.name}.{column.name}"


def test_rows_have_a_value_for_every_column(database: DemoDatabase) -> None:
    for table in database.tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert table.records[0] == {column.name: table.rows[0][at] for at, column in enumerate(table.columns)}


def test_nothing_has_happened_after_the_anchor(database: DemoDatabase) -> None:
    now = datetime(ANCHOR.year, ANCHOR.month, ANCHOR.day, tzinfo=UTC)
    for table in database.tables:
        for record in table.records:
            for column, value in record.items():
                moment = _moment(value)
                if moment is not None and column not in _MAY_LIE_AHEAD:
                    assert moment < now, f"{table.name}.{column}"


def test_history_reaches_the_day_before_the_anchor() -> None:
    days = {order["ordered_at"].date() for order in build("sales_db", ANCHOR).records("orders")}
    assert min(days) <= ANCHOR - timedelta(days=725)
    assert max(days) >= ANCHOR - timedelta(days=3)


def test_orders_are_shipped_and_delivered_in_that_order() -> None:
    sales = build("sales_db", ANCHOR)
    opened = {customer["id"]: customer["created_on"] for customer in sales.records("customers")}
    for order in sales.records("orders"):
        placed, shipped, delivered = order["ordered_at"].date(), order["shipped_on"], order["delivered_on"]
        assert opened[order["customer_id"]] <= placed
        assert (shipped is not None) == (order["status"] in {"shipped", "delivered"})
        assert (delivered is not None) == (order["status"] == "delivered")
        assert shipped is None or placed < shipped
        assert delivered is None or shipped < delivered


def test_products_are_sold_only_while_on_sale() -> None:
    sales = build("sales_db", ANCHOR)
    placed = {order["id"]: order["ordered_at"].date() for order in sales.records("orders")}
    products = {product["id"]: product for product in sales.records("products")}
    for item in sales.records("order_items"):
        product = products[item["product_id"]]
        assert product["launched_on"] <= placed[item["order_id"]] < (product["discontinued_on"] or date.max)


def test_representatives_get_no_credit_before_they_came_or_after_they_left() -> None:
    sales = build("sales_db", ANCHOR)
    reps = {rep["id"]: rep for rep in sales.records("sales_reps")}
    for order in sales.records("orders"):
        if order["sales_rep_id"] is not None:
            rep = reps[order["sales_rep_id"]]
            assert rep["hired_on"] <= order["ordered_at"].date() < (rep["left_on"] or date.max)


def test_returns_follow_delivery_and_send_back_no_more_than_was_bought() -> None:
    sales = build("sales_db", ANCHOR)
    delivered = {order["id"]: order["delivered_on"] for order in sales.records("orders")}
    bought = {(item["order_id"], item["line_no"]): item for item in sales.records("order_items")}
    for back in sales.records("returns"):
        assert delivered[back["order_id"]] < back["requested_on"]
        assert back["refunded_on"] is None or back["requested_on"] < back["refunded_on"]
        assert back["quantity"] <= bought[back["order_id"], back["line_no"]]["quantity"]
        assert back["refund_amount"] <= bought[back["order_id"], back["line_no"]]["line_total"]


def test_leads_convert_after_they_were_won_by_a_campaign_that_had_started() -> None:
    marketing = build("marketing_db", ANCHOR)
    leads = {lead["id"]: lead for lead in marketing.records("leads")}
    starts = {campaign["id"]: campaign["starts_on"] for campaign in marketing.records("campaigns")}
    sold = {sale["lead_id"]: sale["converted_on"] for sale in marketing.records("conversions")}
    for number, lead in leads.items():
        assert lead["campaign_id"] is None or starts[lead["campaign_id"]] <= lead["created_at"].date()
        assert (number in sold) == (lead["status"] == "converted")
        assert number not in sold or lead["created_at"].date() < sold[number]


def test_marketing_numbers_never_exceed_what_they_are_part_of() -> None:
    marketing = build("marketing_db", ANCHOR)
    assert all(day["clicks"] <= day["impressions"] for day in marketing.records("ad_spend"))
    for mail in marketing.records("email_metrics"):
        assert mail["clicks"] <= mail["opens"] <= mail["delivered"]
        assert mail["unsubscribes"] <= mail["delivered"]


def test_shipments_leave_after_they_were_created_and_arrive_after_they_left() -> None:
    for shipment in build("operations_db", ANCHOR).records("shipments"):
        created, left, arrived = shipment["created_at"], shipment["shipped_at"], shipment["delivered_at"]
        assert (left is None) == (shipment["status"] == "packing")
        assert (arrived is not None) == (shipment["status"] == "delivered")
        assert left is None or created < left
        assert arrived is None or left < arrived


def test_purchases_are_received_when_their_status_says_so() -> None:
    operations = build("operations_db", ANCHOR)
    received = {order["id"]: order["received_on"] for order in operations.records("purchase_orders")}
    for order in operations.records("purchase_orders"):
        assert (order["received_on"] is not None) == (order["status"] == "received")
    for item in operations.records("purchase_order_items"):
        arrived = item["received_quantity"]
        assert (arrived is None) == (received[item["purchase_order_id"]] is None)
        assert arrived is None or 0 < arrived <= item["quantity"]


def test_tickets_are_answered_before_they_are_solved_and_rated_after() -> None:
    support = build("support_db", ANCHOR)
    solved = {ticket["id"]: ticket["solved_at"] for ticket in support.records("tickets")}
    for ticket in support.records("tickets"):
        answered = ticket["first_response_at"]
        assert answered is None or (ticket["opened_at"] < answered and ticket["agent_id"])
        assert ticket["solved_at"] is None or answered < ticket["solved_at"]
        assert (ticket["solved_at"] is not None) == (ticket["status"] in {"solved", "closed"})
    for rating in support.records("satisfaction"):
        assert solved[rating["ticket_id"]] < rating["rated_at"]
    for message in support.records("messages"):
        assert support.records("tickets")[message["ticket_id"] - 1]["opened_at"] <= message["sent_at"]


def test_autumn_sells_more_than_summer() -> None:
    months = [order["ordered_at"].month for order in build("sales_db", ANCHOR).records("orders")]
    assert months.count(11) > 1.2 * months.count(8)
