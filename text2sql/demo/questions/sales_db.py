"""What people ask sales_db."""

from text2sql.demo.questions import sales_answers as answers
from text2sql.demo.questions.recorded import RecordedQuestion

QUESTIONS: tuple[RecordedQuestion, ...] = (
    RecordedQuestion(
        "Which five customers brought the most revenue in the last 90 days?",
        """\
SELECT c.name AS customer, c.segment, SUM(oi.line_total) AS revenue
FROM customers AS c
JOIN orders AS o ON o.customer_id = c.id
JOIN order_items AS oi ON oi.order_id = o.id
WHERE o.status <> 'cancelled' AND o.ordered_at >= CURRENT_DATE - INTERVAL '90 days'
GROUP BY c.id, c.name, c.segment
ORDER BY revenue DESC, customer
LIMIT 5""",
        "Adds up the order lines of the last 90 days per customer, without cancelled orders, and keeps the "
        "five largest sums.",
        answers.top_customers,
    ),
    RecordedQuestion(
        "How did our monthly revenue develop over the last twelve full months, and how did each month compare "
        "with the one before?",
        """\
WITH monthly AS (
  SELECT DATE_TRUNC('month', o.ordered_at) AS month, COUNT(DISTINCT o.id) AS orders, SUM(oi.line_total) AS revenue
  FROM orders AS o
  JOIN order_items AS oi ON oi.order_id = o.id
  WHERE o.status <> 'cancelled'
    AND o.ordered_at >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '12 months'
    AND o.ordered_at < DATE_TRUNC('month', CURRENT_DATE)
  GROUP BY DATE_TRUNC('month', o.ordered_at)
)
SELECT TO_CHAR(month, 'YYYY-MM') AS month_label, orders, revenue,
  ROUND(100 * (revenue - LAG(revenue) OVER (ORDER BY month)) / LAG(revenue) OVER (ORDER BY month), 1)
    AS change_percent
FROM monthly
ORDER BY month""",
        "Sums revenue per calendar month and compares each month with the previous one; the first month has "
        "nothing to compare with.",
        answers.monthly_revenue,
    ),
    RecordedQuestion(
        "What are the three best-selling products by revenue in each category over the past year?",
        """\
WITH sold AS (
  SELECT p.category, p.name, SUM(oi.line_total) AS revenue,
    ROW_NUMBER() OVER (PARTITION BY p.category ORDER BY SUM(oi.line_total) DESC, p.name) AS place
  FROM products AS p
  JOIN order_items AS oi ON oi.product_id = p.id
  JOIN orders AS o ON o.id = oi.order_id
  WHERE o.status <> 'cancelled' AND o.ordered_at >= CURRENT_DATE - INTERVAL '365 days'
  GROUP BY p.id, p.category, p.name
)
SELECT category, place, name AS product, revenue
FROM sold
WHERE place <= 3
ORDER BY category, place""",
        "Ranks products by revenue within their category over the last 365 days and keeps the first three.",
        answers.best_sellers,
    ),
    RecordedQuestion(
        "What share of revenue does each customer segment account for in the last 12 months?",
        """\
SELECT c.segment, SUM(oi.line_total) AS revenue,
  ROUND(100 * SUM(oi.line_total) / SUM(SUM(oi.line_total)) OVER (), 1) AS share_percent
FROM customers AS c
JOIN orders AS o ON o.customer_id = c.id
JOIN order_items AS oi ON oi.order_id = o.id
WHERE o.status <> 'cancelled' AND o.ordered_at >= CURRENT_DATE - INTERVAL '12 months'
GROUP BY c.segment
ORDER BY revenue DESC, c.segment""",
        "Divides the revenue of each segment by the revenue of all segments.",
        answers.segment_shares,
    ),
    RecordedQuestion(
        "Which customers have never placed an order?",
        """\
SELECT c.name AS customer, c.segment, r.name AS region, c.created_on
FROM customers AS c
JOIN regions AS r ON r.id = c.region_id
LEFT JOIN orders AS o ON o.customer_id = c.id
WHERE o.id IS NULL
ORDER BY c.created_on, c.name""",
        "Lists the accounts without any order, oldest first.",
        answers.silent_customers,
    ),
    RecordedQuestion(
        "Compare the average order value of web, field and partner orders in the last full quarter.",
        """\
SELECT o.channel, COUNT(DISTINCT o.id) AS orders,
  ROUND(SUM(oi.line_total) / COUNT(DISTINCT o.id), 2) AS average_order_value
FROM orders AS o
JOIN order_items AS oi ON oi.order_id = o.id
WHERE o.status <> 'cancelled'
  AND o.ordered_at >= DATE_TRUNC('quarter', CURRENT_DATE) - INTERVAL '3 months'
  AND o.ordered_at < DATE_TRUNC('quarter', CURRENT_DATE)
GROUP BY o.channel
ORDER BY average_order_value DESC, o.channel""",
        "Divides the revenue of each channel by its number of orders, cancelled ones left out.",
        answers.order_values,
    ),
    RecordedQuestion(
        "Which product categories get returned most often, measured in pieces returned per hundred delivered?",
        """\
WITH sent_back AS (
  SELECT order_id, line_no, SUM(quantity) AS quantity
  FROM returns
  GROUP BY order_id, line_no
)
SELECT p.category, SUM(oi.quantity) AS delivered, COALESCE(SUM(sb.quantity), 0) AS returned,
  ROUND(100.0 * COALESCE(SUM(sb.quantity), 0) / SUM(oi.quantity), 2) AS return_rate_percent
FROM order_items AS oi
JOIN orders AS o ON o.id = oi.order_id
JOIN products AS p ON p.id = oi.product_id
LEFT JOIN sent_back AS sb ON sb.order_id = oi.order_id AND sb.line_no = oi.line_no
WHERE o.status = 'delivered'
GROUP BY p.category
ORDER BY return_rate_percent DESC, p.category""",
        "Compares the pieces sent back with the pieces delivered, per category, over all time.",
        answers.return_rates,
    ),
    RecordedQuestion(
        "Show me the sales of every current sales rep in the last 90 days, including those who sold nothing.",
        """\
SELECT s.full_name AS sales_rep, r.name AS region, COUNT(DISTINCT o.id) AS orders,
  COALESCE(SUM(oi.line_total), 0) AS revenue
FROM sales_reps AS s
JOIN regions AS r ON r.id = s.region_id
LEFT JOIN orders AS o ON o.sales_rep_id = s.id AND o.status <> 'cancelled'
  AND o.ordered_at >= CURRENT_DATE - INTERVAL '90 days'
LEFT JOIN order_items AS oi ON oi.order_id = o.id
WHERE s.left_on IS NULL
GROUP BY s.id, s.full_name, r.name
ORDER BY revenue DESC, sales_rep""",
        "Takes all representatives still employed and adds the orders credited to them; no order counts as zero.",
        answers.rep_sales,
    ),
    RecordedQuestion(
        "Which regions reached their sales target last quarter?",
        """\
WITH sold AS (
  SELECT c.region_id, SUM(oi.line_total) AS revenue
  FROM customers AS c
  JOIN orders AS o ON o.customer_id = c.id
  JOIN order_items AS oi ON oi.order_id = o.id
  WHERE o.status <> 'cancelled'
    AND o.ordered_at >= DATE_TRUNC('quarter', CURRENT_DATE) - INTERVAL '3 months'
    AND o.ordered_at < DATE_TRUNC('quarter', CURRENT_DATE)
  GROUP BY c.region_id
)
SELECT r.name AS region, t.target_amount, COALESCE(s.revenue, 0) AS revenue,
  ROUND(100 * COALESCE(s.revenue, 0) / t.target_amount, 1) AS attainment_percent,
  COALESCE(s.revenue, 0) >= t.target_amount AS reached
FROM sales_targets AS t
JOIN regions AS r ON r.id = t.region_id
LEFT JOIN sold AS s ON s.region_id = t.region_id
WHERE t.quarter_start = DATE_TRUNC('quarter', CURRENT_DATE) - INTERVAL '3 months'
ORDER BY attainment_percent DESC, region""",
        "Sets the revenue of each region's customers in the last full quarter against the region's target.",
        answers.target_attainment,
    ),
    RecordedQuestion(
        "How many days does it take on average from order to delivery in each region (orders of the last 180 days)?",
        """\
SELECT r.name AS region, COUNT(o.id) AS delivered_orders,
  ROUND(AVG(o.delivered_on - CAST(o.ordered_at AS DATE)), 1) AS average_days,
  MAX(o.delivered_on - CAST(o.ordered_at AS DATE)) AS longest_days
FROM orders AS o
JOIN customers AS c ON c.id = o.customer_id
JOIN regions AS r ON r.id = c.region_id
WHERE o.delivered_on IS NOT NULL AND o.ordered_at >= CURRENT_DATE - INTERVAL '180 days'
GROUP BY r.name
ORDER BY average_days, region""",
        "Averages the days between placing and arrival over the delivered orders of the last 180 days.",
        answers.delivery_days,
    ),
    RecordedQuestion(
        "What percentage of orders was cancelled in each of the last six full months?",
        """\
SELECT TO_CHAR(DATE_TRUNC('month', ordered_at), 'YYYY-MM') AS month_label, COUNT(id) AS orders,
  COUNT(id) FILTER (WHERE status = 'cancelled') AS cancelled,
  ROUND(100.0 * COUNT(id) FILTER (WHERE status = 'cancelled') / COUNT(id), 1) AS cancelled_percent
FROM orders
WHERE ordered_at >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '6 months'
  AND ordered_at < DATE_TRUNC('month', CURRENT_DATE)
GROUP BY DATE_TRUNC('month', ordered_at)
ORDER BY DATE_TRUNC('month', ordered_at)""",
        "Counts all orders and the cancelled ones per calendar month.",
        answers.cancellations,
    ),
    RecordedQuestion(
        "How much of each month's revenue came from first-time buyers versus returning customers over the last "
        "6 full months?",
        """\
WITH first_orders AS (
  SELECT customer_id, MIN(ordered_at) AS first_ordered_at
  FROM orders
  WHERE status <> 'cancelled'
  GROUP BY customer_id
)
SELECT TO_CHAR(DATE_TRUNC('month', o.ordered_at), 'YYYY-MM') AS month_label,
  SUM(CASE WHEN o.ordered_at = f.first_ordered_at THEN oi.line_total ELSE 0 END) AS first_time_revenue,
  SUM(CASE WHEN o.ordered_at > f.first_ordered_at THEN oi.line_total ELSE 0 END) AS returning_revenue
FROM orders AS o
JOIN first_orders AS f ON f.customer_id = o.customer_id
JOIN order_items AS oi ON oi.order_id = o.id
WHERE o.status <> 'cancelled'
  AND o.ordered_at >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '6 months'
  AND o.ordered_at < DATE_TRUNC('month', CURRENT_DATE)
GROUP BY DATE_TRUNC('month', o.ordered_at)
ORDER BY DATE_TRUNC('month', o.ordered_at)""",
        "Finds every customer's first order that was not cancelled and splits each month's revenue by it.",
        answers.new_and_returning,
    ),
    RecordedQuestion(
        "Which ten products still on sale moved the fewest pieces in the last 60 days?",
        """\
SELECT p.sku, p.name AS product, COALESCE(SUM(oi.quantity), 0) AS pieces
FROM products AS p
LEFT JOIN (
  SELECT i.product_id, i.quantity
  FROM order_items AS i
  JOIN orders AS o ON o.id = i.order_id
  WHERE o.status <> 'cancelled' AND o.ordered_at >= CURRENT_DATE - INTERVAL '60 days'
) AS oi ON oi.product_id = p.id
WHERE p.discontinued_on IS NULL OR p.discontinued_on > CURRENT_DATE
GROUP BY p.id, p.sku, p.name
ORDER BY pieces, p.sku
LIMIT 10""",
        "Counts the pieces sold per product on sale, zero included, and lists the slowest ten.",
        answers.slow_movers,
    ),
    RecordedQuestion(
        "What's our gross margin by product category for the last 12 months?",
        """\
SELECT p.category, SUM(oi.line_total) AS revenue, SUM(oi.quantity * p.unit_cost) AS cost,
  ROUND(100 * (SUM(oi.line_total) - SUM(oi.quantity * p.unit_cost)) / SUM(oi.line_total), 1) AS margin_percent
FROM order_items AS oi
JOIN orders AS o ON o.id = oi.order_id
JOIN products AS p ON p.id = oi.product_id
WHERE o.status <> 'cancelled' AND o.ordered_at >= CURRENT_DATE - INTERVAL '12 months'
GROUP BY p.category
ORDER BY margin_percent DESC, p.category""",
        "Subtracts today's unit costs from revenue and divides by revenue, per category.",
        answers.gross_margins,
    ),
    RecordedQuestion(
        "Revenue from eco products by quarter, please, for the last four full quarters",
        """\
SELECT TO_CHAR(DATE_TRUNC('quarter', o.ordered_at), 'YYYY-"Q"Q') AS quarter_label,
  SUM(oi.line_total) FILTER (WHERE 'eco' = ANY(p.tags)) AS eco_revenue,
  ROUND(100 * SUM(oi.line_total) FILTER (WHERE 'eco' = ANY(p.tags)) / SUM(oi.line_total), 1) AS eco_share_percent
FROM order_items AS oi
JOIN orders AS o ON o.id = oi.order_id
JOIN products AS p ON p.id = oi.product_id
WHERE o.status <> 'cancelled'
  AND o.ordered_at >= DATE_TRUNC('quarter', CURRENT_DATE) - INTERVAL '12 months'
  AND o.ordered_at < DATE_TRUNC('quarter', CURRENT_DATE)
GROUP BY DATE_TRUNC('quarter', o.ordered_at)
ORDER BY DATE_TRUNC('quarter', o.ordered_at)""",
        "Sums the lines whose product carries the tag eco, per calendar quarter, with their share of all revenue.",
        answers.eco_revenue,
    ),
    RecordedQuestion(
        "How much money is tied up in refunds that we have not paid yet, by reason?",
        """\
SELECT reason, COUNT(id) AS open_refunds, SUM(refund_amount) AS open_amount,
  MAX(CURRENT_DATE - requested_on) AS oldest_days
FROM returns
WHERE refunded_on IS NULL
GROUP BY reason
ORDER BY open_amount DESC, reason""",
        "Adds up the returns without a refund date and shows how long the oldest has been waiting.",
        answers.open_refunds,
    ),
)
