"""Tables of sales_db as they are declared in PostgreSQL."""

from text2sql.demo.data.tables import DemoColumn as Column

REGIONS = (
    Column("id", "integer", "Region number", "PRIMARY KEY"),
    Column("name", "text", "Name of the sales region", "NOT NULL UNIQUE"),
    Column("countries", "text[]", "ISO 3166 alpha-2 codes of the countries in the region", "NOT NULL"),
)

SALES_REPS = (
    Column("id", "integer", "Employee number", "PRIMARY KEY"),
    Column("full_name", "text", "First and last name", "NOT NULL"),
    Column("email", "text", "Work e-mail address", "NOT NULL UNIQUE"),
    Column("region_id", "integer", "Region the representative works in", "NOT NULL REFERENCES regions"),
    Column("manager_id", "integer", "Regional manager; empty for managers", "REFERENCES sales_reps"),
    Column("hired_on", "date", "First working day", "NOT NULL"),
    Column("left_on", "date", "Day the representative left the company; empty while employed"),
    Column("quarterly_quota", "numeric(12,2)", "Revenue expected per quarter, in USD", "NOT NULL"),
)

CUSTOMERS = (
    Column("id", "integer", "Customer number", "PRIMARY KEY"),
    Column("name", "text", "Company name", "NOT NULL UNIQUE"),
    Column(
        "segment",
        "text",
        "Size of the customer: enterprise (over 1,000 staff), mid_market (100 to 1,000), small_business",
        "NOT NULL CHECK (segment IN ('enterprise', 'mid_market', 'small_business'))",
    ),
    Column("industry", "text", "Industry the customer works in", "NOT NULL"),
    Column("region_id", "integer", "Sales region of the head office", "NOT NULL REFERENCES regions"),
    Column("country", "char(2)", "ISO 3166 alpha-2 code of the head office's country", "NOT NULL"),
    Column("city", "text", "City of the head office", "NOT NULL"),
    Column(
        "account_rep_id",
        "integer",
        "Representative who looks after the customer; empty for self-service customers",
        "REFERENCES sales_reps",
    ),
    Column("billing_email", "text", "Where invoices are sent; empty when sent by post"),
    Column("created_on", "date", "Day the account was opened", "NOT NULL"),
)

PRODUCTS = (
    Column("id", "integer", "Product number", "PRIMARY KEY"),
    Column("sku", "text", "Stock keeping unit, printed on the box", "NOT NULL UNIQUE"),
    Column("name", "text", "Name in the catalogue", "NOT NULL UNIQUE"),
    Column("category", "text", "desks, chairs, storage, lighting, screens or accessories", "NOT NULL"),
    Column("list_price", "numeric(10,2)", "Current price before discount, in USD", "NOT NULL"),
    Column("unit_cost", "numeric(10,2)", "What one piece costs us, in USD", "NOT NULL"),
    Column("launched_on", "date", "First day on sale", "NOT NULL"),
    Column("discontinued_on", "date", "First day no longer on sale; empty while on sale"),
    Column("tags", "text[]", "Marks in the catalogue, such as eco, ergonomic, bestseller", "NOT NULL"),
)

ORDERS = (
    Column("id", "integer", "Order number", "PRIMARY KEY"),
    Column("customer_id", "integer", "Customer who ordered", "NOT NULL REFERENCES customers"),
    Column(
        "sales_rep_id",
        "integer",
        "Representative credited with the order; empty for orders nobody sold",
        "REFERENCES sales_reps",
    ),
    Column("ordered_at", "timestamptz", "When the order was placed (UTC)", "NOT NULL"),
    Column(
        "channel",
        "text",
        "How the order came: web (self-service), field (by a representative), partner (through a reseller)",
        "NOT NULL CHECK (channel IN ('web', 'field', 'partner'))",
    ),
    Column(
        "status",
        "text",
        "pending (not yet paid), paid (waiting for shipping), shipped, delivered, cancelled. "
        "Cancelled orders are no revenue",
        "NOT NULL CHECK (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled'))",
    ),
    Column("shipped_on", "date", "Day the goods left; empty until then"),
    Column("delivered_on", "date", "Day the goods arrived; empty until then"),
)

ORDER_ITEMS = (
    Column("order_id", "integer", "Order the line belongs to", "NOT NULL REFERENCES orders"),
    Column("line_no", "smallint", "Number of the line within the order, from 1", "NOT NULL"),
    Column("product_id", "integer", "Product ordered", "NOT NULL REFERENCES products"),
    Column("quantity", "integer", "Pieces", "NOT NULL CHECK (quantity > 0)"),
    Column("unit_price", "numeric(10,2)", "Price of one piece on that day, in USD", "NOT NULL"),
    Column("discount_percent", "numeric(5,2)", "Discount on the line, from 0 to 100", "NOT NULL DEFAULT 0"),
    Column("line_total", "numeric(12,2)", "Revenue of the line after discount, in USD", "NOT NULL"),
)

RETURNS = (
    Column("id", "integer", "Return number", "PRIMARY KEY"),
    Column("order_id", "integer", "Order the goods came from", "NOT NULL"),
    Column("line_no", "smallint", "Line of that order", "NOT NULL"),
    Column("quantity", "integer", "Pieces sent back", "NOT NULL CHECK (quantity > 0)"),
    Column(
        "reason",
        "text",
        "damaged, wrong_item, not_as_described, changed_mind or late",
        "NOT NULL CHECK (reason IN ('damaged', 'wrong_item', 'not_as_described', 'changed_mind', 'late'))",
    ),
    Column("requested_on", "date", "Day the customer asked for the return", "NOT NULL"),
    Column("refunded_on", "date", "Day the money went back; empty while the refund is open"),
    Column("refund_amount", "numeric(12,2)", "Money to give back, in USD", "NOT NULL"),
)

SALES_TARGETS = (
    Column("region_id", "integer", "Region the target is for", "NOT NULL REFERENCES regions"),
    Column("quarter_start", "date", "First day of the calendar quarter", "NOT NULL"),
    Column("target_amount", "numeric(12,2)", "Revenue planned for the quarter, in USD", "NOT NULL"),
)
