"""Tables of operations_db as they are declared in PostgreSQL."""

from text2sql.demo.data.tables import DemoColumn as Column

WAREHOUSES = (
    Column("id", "integer", "Warehouse number", "PRIMARY KEY"),
    Column("code", "text", "Short code used on labels", "NOT NULL UNIQUE"),
    Column("city", "text", "City", "NOT NULL"),
    Column("country", "char(2)", "ISO 3166 alpha-2 code", "NOT NULL"),
    Column("capacity_units", "integer", "Pieces that fit in", "NOT NULL"),
    Column("opened_on", "date", "First day of operation", "NOT NULL"),
)

SUPPLIERS = (
    Column("id", "integer", "Supplier number", "PRIMARY KEY"),
    Column("name", "text", "Company name", "NOT NULL UNIQUE"),
    Column("country", "char(2)", "ISO 3166 alpha-2 code", "NOT NULL"),
    Column("lead_time_days", "integer", "Days from order to delivery as agreed", "NOT NULL"),
    Column("rating", "numeric(2,1)", "Result of the last audit, 1.0 to 5.0; empty when never audited"),
    Column("is_active", "boolean", "Whether we still order there", "NOT NULL"),
)

PRODUCTS = (
    Column("id", "integer", "Product number", "PRIMARY KEY"),
    Column("sku", "text", "Stock keeping unit, printed on the box", "NOT NULL UNIQUE"),
    Column("name", "text", "Name", "NOT NULL UNIQUE"),
    Column("category", "text", "tools, fasteners, electrical, safety, paint or garden", "NOT NULL"),
    Column("supplier_id", "integer", "Supplier we buy the product from", "NOT NULL REFERENCES suppliers"),
    Column("unit_cost", "numeric(10,2)", "Purchase price of one piece, in USD", "NOT NULL"),
    Column("weight_kg", "numeric(8,3)", "Weight of one piece with packing, in kilograms", "NOT NULL"),
    Column(
        "attributes",
        "jsonb",
        "Handling: keys fragile (true or false), hazard_class (text, or absent when harmless), shelf_life_days "
        "(number, or absent when it keeps)",
        "NOT NULL",
    ),
)

INVENTORY = (
    Column("warehouse_id", "integer", "Warehouse the stock lies in", "NOT NULL REFERENCES warehouses"),
    Column("product_id", "integer", "Product in stock", "NOT NULL REFERENCES products"),
    Column("on_hand", "integer", "Pieces in the shelves", "NOT NULL CHECK (on_hand >= 0)"),
    Column("reserved", "integer", "Pieces of on_hand promised to open shipments", "NOT NULL"),
    Column("reorder_point", "integer", "Order more when on_hand minus reserved falls below this", "NOT NULL"),
    Column("counted_on", "date", "Day of the last stock count; empty when never counted"),
)

PURCHASE_ORDERS = (
    Column("id", "integer", "Purchase order number", "PRIMARY KEY"),
    Column("supplier_id", "integer", "Supplier", "NOT NULL REFERENCES suppliers"),
    Column("warehouse_id", "integer", "Where the goods go", "NOT NULL REFERENCES warehouses"),
    Column("ordered_on", "date", "Day the order was sent", "NOT NULL"),
    Column("expected_on", "date", "Day the goods are due; may lie in the future", "NOT NULL"),
    Column("received_on", "date", "Day the goods arrived; empty until then"),
    Column(
        "status",
        "text",
        "open (on the way), received, cancelled",
        "NOT NULL CHECK (status IN ('open', 'received', 'cancelled'))",
    ),
)

PURCHASE_ORDER_ITEMS = (
    Column("purchase_order_id", "integer", "Purchase order", "NOT NULL REFERENCES purchase_orders"),
    Column("line_no", "smallint", "Number of the line within the order, from 1", "NOT NULL"),
    Column("product_id", "integer", "Product bought", "NOT NULL REFERENCES products"),
    Column("quantity", "integer", "Pieces ordered", "NOT NULL CHECK (quantity > 0)"),
    Column("received_quantity", "integer", "Pieces that arrived in good order; empty until received"),
    Column("unit_cost", "numeric(10,2)", "Price of one piece on this order, in USD", "NOT NULL"),
)

CARRIERS = (
    Column("id", "integer", "Carrier number", "PRIMARY KEY"),
    Column("name", "text", "Company name", "NOT NULL UNIQUE"),
    Column("mode", "text", "road, air or sea", "NOT NULL CHECK (mode IN ('road', 'air', 'sea'))"),
)

SHIPMENTS = (
    Column("id", "integer", "Shipment number", "PRIMARY KEY"),
    Column("warehouse_id", "integer", "Warehouse the goods leave from", "NOT NULL REFERENCES warehouses"),
    Column("carrier_id", "integer", "Carrier", "NOT NULL REFERENCES carriers"),
    Column("destination_country", "char(2)", "ISO 3166 alpha-2 code", "NOT NULL"),
    Column("created_at", "timestamptz", "When the warehouse got the order (UTC)", "NOT NULL"),
    Column("shipped_at", "timestamptz", "When the goods left (UTC); empty until then"),
    Column("promised_on", "date", "Day the customer was promised; may lie in the future", "NOT NULL"),
    Column("delivered_at", "timestamptz", "When the goods arrived (UTC); empty until then"),
    Column(
        "status",
        "text",
        "packing (not yet left), in_transit, delivered, lost (never arrived)",
        "NOT NULL CHECK (status IN ('packing', 'in_transit', 'delivered', 'lost'))",
    ),
    Column("freight_cost", "numeric(10,2)", "What the carrier charges, in USD", "NOT NULL"),
)

SHIPMENT_ITEMS = (
    Column("shipment_id", "integer", "Shipment", "NOT NULL REFERENCES shipments"),
    Column("product_id", "integer", "Product shipped", "NOT NULL REFERENCES products"),
    Column("quantity", "integer", "Pieces", "NOT NULL CHECK (quantity > 0)"),
)
