"""What people ask operations_db."""

from text2sql.demo.questions import operations_answers as answers
from text2sql.demo.questions.recorded import RecordedQuestion

QUESTIONS: tuple[RecordedQuestion, ...] = (
    RecordedQuestion(
        "How punctual is each carrier? Share of shipments delivered on time in the last 90 days.",
        """\
SELECT c.name AS carrier, c.mode, COUNT(s.id) AS delivered,
  COUNT(s.id) FILTER (WHERE CAST(s.delivered_at AS DATE) <= s.promised_on) AS on_time,
  ROUND(100.0 * COUNT(s.id) FILTER (WHERE CAST(s.delivered_at AS DATE) <= s.promised_on) / COUNT(s.id), 1)
    AS on_time_percent
FROM shipments AS s
JOIN carriers AS c ON c.id = s.carrier_id
WHERE s.delivered_at >= CURRENT_DATE - INTERVAL '90 days'
GROUP BY c.id, c.name, c.mode
ORDER BY on_time_percent DESC, carrier""",
        "Of the shipments that arrived in the last 90 days, counts those that came no later than promised.",
        answers.punctuality,
    ),
    RecordedQuestion(
        "Which twenty stock positions are furthest below their reorder point?",
        """\
SELECT w.code AS warehouse, p.sku, p.name AS product, i.on_hand - i.reserved AS available, i.reorder_point,
  i.reorder_point - (i.on_hand - i.reserved) AS shortage
FROM inventory AS i
JOIN warehouses AS w ON w.id = i.warehouse_id
JOIN products AS p ON p.id = i.product_id
WHERE i.on_hand - i.reserved < i.reorder_point
ORDER BY shortage DESC, warehouse, p.sku
LIMIT 20""",
        "Subtracts reserved pieces from the stock and lists the positions with the largest gap to the reorder point.",
        answers.shortages,
    ),
    RecordedQuestion(
        "How reliable are our suppliers? Show late deliveries and the average delay for suppliers with at least "
        "10 deliveries in the last 12 months.",
        """\
SELECT s.name AS supplier, COUNT(po.id) AS deliveries,
  COUNT(po.id) FILTER (WHERE po.received_on > po.expected_on) AS late,
  ROUND(100.0 * COUNT(po.id) FILTER (WHERE po.received_on > po.expected_on) / COUNT(po.id), 1) AS late_percent,
  ROUND(AVG(po.received_on - po.expected_on) FILTER (WHERE po.received_on > po.expected_on), 1)
    AS average_delay_days
FROM suppliers AS s
JOIN purchase_orders AS po ON po.supplier_id = s.id
WHERE po.status = 'received' AND po.received_on >= CURRENT_DATE - INTERVAL '12 months'
GROUP BY s.id, s.name
HAVING COUNT(po.id) >= 10
ORDER BY late_percent DESC, supplier""",
        "Compares the day received with the day expected; the delay is averaged over late deliveries only.",
        answers.supplier_reliability,
    ),
    RecordedQuestion(
        "What is the value of our stock in each warehouse, and what share of the total is that?",
        """\
SELECT w.code AS warehouse, w.city, SUM(i.on_hand * p.unit_cost) AS stock_value,
  ROUND(100 * SUM(i.on_hand * p.unit_cost) / SUM(SUM(i.on_hand * p.unit_cost)) OVER (), 1) AS share_percent
FROM warehouses AS w
JOIN inventory AS i ON i.warehouse_id = w.id
JOIN products AS p ON p.id = i.product_id
GROUP BY w.id, w.code, w.city
ORDER BY stock_value DESC, warehouse""",
        "Multiplies the pieces in the shelves by their purchase price.",
        answers.stock_values,
    ),
    RecordedQuestion(
        "Shipments and freight cost per month for the last twelve full months, with the average cost per shipment",
        """\
SELECT TO_CHAR(DATE_TRUNC('month', shipped_at), 'YYYY-MM') AS month_label, COUNT(id) AS shipments,
  SUM(freight_cost) AS freight_cost, ROUND(AVG(freight_cost), 2) AS average_cost
FROM shipments
WHERE shipped_at >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '12 months'
  AND shipped_at < DATE_TRUNC('month', CURRENT_DATE)
GROUP BY DATE_TRUNC('month', shipped_at)
ORDER BY DATE_TRUNC('month', shipped_at)""",
        "Groups shipments by the month in which they left.",
        answers.monthly_freight,
    ),
    RecordedQuestion(
        "Which three products leave each warehouse in the greatest numbers (last 90 days)?",
        """\
WITH moved AS (
  SELECT w.code AS warehouse, p.name AS product, SUM(si.quantity) AS pieces,
    ROW_NUMBER() OVER (PARTITION BY w.id ORDER BY SUM(si.quantity) DESC, p.name) AS place
  FROM shipments AS s
  JOIN warehouses AS w ON w.id = s.warehouse_id
  JOIN shipment_items AS si ON si.shipment_id = s.id
  JOIN products AS p ON p.id = si.product_id
  WHERE s.shipped_at >= CURRENT_DATE - INTERVAL '90 days'
  GROUP BY w.id, w.code, p.id, p.name
)
SELECT warehouse, place, product, pieces
FROM moved
WHERE place <= 3
ORDER BY warehouse, place""",
        "Counts the pieces shipped per warehouse and product and keeps the first three of each warehouse.",
        answers.busiest_products,
    ),
    RecordedQuestion(
        "Which purchase orders are overdue, and by how many days?",
        """\
SELECT po.id AS purchase_order, s.name AS supplier, w.code AS warehouse, po.expected_on,
  CURRENT_DATE - po.expected_on AS days_overdue
FROM purchase_orders AS po
JOIN suppliers AS s ON s.id = po.supplier_id
JOIN warehouses AS w ON w.id = po.warehouse_id
WHERE po.status = 'open' AND po.expected_on < CURRENT_DATE
ORDER BY days_overdue DESC, purchase_order""",
        "Lists the open purchase orders whose goods were due before today.",
        answers.overdue_purchases,
    ),
    RecordedQuestion(
        "On average, how many hours pass between creating a shipment and sending it off in each warehouse? "
        "Use the last 60 days.",
        """\
SELECT w.code AS warehouse, COUNT(s.id) AS shipments,
  ROUND(AVG(EXTRACT(EPOCH FROM s.shipped_at - s.created_at)) / 3600, 1) AS average_hours
FROM shipments AS s
JOIN warehouses AS w ON w.id = s.warehouse_id
WHERE s.shipped_at IS NOT NULL AND s.created_at >= CURRENT_DATE - INTERVAL '60 days'
GROUP BY w.id, w.code
ORDER BY average_hours DESC, warehouse""",
        "Averages the time from the order's arrival in the warehouse to its departure.",
        answers.packing_hours,
    ),
    RecordedQuestion(
        "What do we pay per kilogram with each carrier? Last six months.",
        """\
WITH weights AS (
  SELECT si.shipment_id, SUM(si.quantity * p.weight_kg) AS weight_kg
  FROM shipment_items AS si
  JOIN products AS p ON p.id = si.product_id
  GROUP BY si.shipment_id
)
SELECT c.name AS carrier, ROUND(SUM(w.weight_kg), 1) AS weight_kg, SUM(s.freight_cost) AS freight_cost,
  ROUND(SUM(s.freight_cost) / SUM(w.weight_kg), 2) AS cost_per_kg
FROM shipments AS s
JOIN weights AS w ON w.shipment_id = s.id
JOIN carriers AS c ON c.id = s.carrier_id
WHERE s.shipped_at >= CURRENT_DATE - INTERVAL '6 months'
GROUP BY c.id, c.name
ORDER BY cost_per_kg, carrier""",
        "Weighs every shipment by its goods and divides the freight cost of each carrier by the weight carried.",
        answers.cost_per_kilogram,
    ),
    RecordedQuestion(
        "Which products lie in stock but have not been shipped for 120 days or more?",
        """\
SELECT p.sku, p.name AS product, SUM(i.on_hand) AS pieces, SUM(i.on_hand) * p.unit_cost AS stock_value
FROM products AS p
JOIN inventory AS i ON i.product_id = p.id
WHERE i.on_hand > 0
  AND NOT EXISTS (
    SELECT 1
    FROM shipment_items AS si
    JOIN shipments AS s ON s.id = si.shipment_id
    WHERE si.product_id = p.id AND s.shipped_at >= CURRENT_DATE - INTERVAL '120 days'
  )
GROUP BY p.id, p.sku, p.name, p.unit_cost
ORDER BY stock_value DESC, p.sku""",
        "Looks for stock of products that no shipment of the last 120 days contained, with its value.",
        answers.dead_stock,
    ),
    RecordedQuestion(
        "How is our purchasing volume of the last 365 days spread over supplier countries?",
        """\
SELECT s.country, COUNT(DISTINCT po.id) AS purchase_orders, SUM(pi.quantity * pi.unit_cost) AS volume,
  ROUND(100 * SUM(pi.quantity * pi.unit_cost) / SUM(SUM(pi.quantity * pi.unit_cost)) OVER (), 1) AS share_percent
FROM suppliers AS s
JOIN purchase_orders AS po ON po.supplier_id = s.id
JOIN purchase_order_items AS pi ON pi.purchase_order_id = po.id
WHERE po.status <> 'cancelled' AND po.ordered_on >= CURRENT_DATE - 365
GROUP BY s.country
ORDER BY volume DESC, s.country""",
        "Adds up quantity times price of all purchase orders that were not cancelled, by country.",
        answers.purchasing_countries,
    ),
    RecordedQuestion(
        "Where do shipments get lost? Rate of lost shipments by destination country.",
        """\
SELECT destination_country, COUNT(id) AS finished, COUNT(id) FILTER (WHERE status = 'lost') AS lost,
  ROUND(100.0 * COUNT(id) FILTER (WHERE status = 'lost') / COUNT(id), 2) AS lost_percent
FROM shipments
WHERE status IN ('delivered', 'lost')
GROUP BY destination_country
ORDER BY lost_percent DESC, destination_country""",
        "Of all shipments that ended, delivered or lost, shows the part that was lost.",
        answers.lost_shipments,
    ),
    RecordedQuestion(
        "Who are the five suppliers with the worst fill rate over the last year?",
        """\
SELECT s.name AS supplier, s.rating, SUM(pi.quantity) AS ordered, SUM(pi.received_quantity) AS received,
  ROUND(100.0 * SUM(pi.received_quantity) / SUM(pi.quantity), 2) AS fill_rate_percent
FROM suppliers AS s
JOIN purchase_orders AS po ON po.supplier_id = s.id
JOIN purchase_order_items AS pi ON pi.purchase_order_id = po.id
WHERE po.received_on >= CURRENT_DATE - 365
GROUP BY s.id, s.name, s.rating
ORDER BY fill_rate_percent, supplier
LIMIT 5""",
        "Compares pieces received in good order with pieces ordered, on purchase orders of the last 365 days.",
        answers.fill_rates,
    ),
    RecordedQuestion(
        "How many fragile and how many hazardous pieces are there in every warehouse?",
        """\
SELECT w.code AS warehouse,
  COALESCE(SUM(i.on_hand) FILTER (WHERE p.attributes ->> 'fragile' = 'true'), 0) AS fragile_pieces,
  COALESCE(SUM(i.on_hand) FILTER (WHERE p.attributes ->> 'hazard_class' IS NOT NULL), 0) AS hazardous_pieces,
  SUM(i.on_hand) AS all_pieces
FROM warehouses AS w
JOIN inventory AS i ON i.warehouse_id = w.id
JOIN products AS p ON p.id = i.product_id
GROUP BY w.id, w.code
ORDER BY warehouse""",
        "Reads the handling attributes of the products and counts the pieces in the shelves.",
        answers.delicate_stock,
    ),
    RecordedQuestion(
        "How full are the warehouses, and how much of the stock was never counted?",
        """\
SELECT w.code AS warehouse, w.capacity_units, SUM(i.on_hand) AS pieces,
  ROUND(100.0 * SUM(i.on_hand) / w.capacity_units, 1) AS used_percent,
  COUNT(i.product_id) - COUNT(i.counted_on) AS positions_never_counted
FROM warehouses AS w
JOIN inventory AS i ON i.warehouse_id = w.id
GROUP BY w.id, w.code, w.capacity_units
ORDER BY used_percent DESC, warehouse""",
        "Compares pieces with capacity and counts positions without a day of counting.",
        answers.warehouse_use,
    ),
    RecordedQuestion(
        "On which weekday do most shipments come in? Take the last twelve full weeks.",
        """\
SELECT EXTRACT(ISODOW FROM created_at) AS weekday, COUNT(id) AS shipments,
  ROUND(COUNT(id) / 12.0, 1) AS shipments_per_day
FROM shipments
WHERE created_at >= DATE_TRUNC('week', CURRENT_DATE) - INTERVAL '12 weeks'
  AND created_at < DATE_TRUNC('week', CURRENT_DATE)
GROUP BY EXTRACT(ISODOW FROM created_at)
ORDER BY shipments DESC, weekday""",
        "Counts shipments per weekday, 1 for Monday to 7 for Sunday, and divides by twelve weeks.",
        answers.weekdays,
    ),
)
