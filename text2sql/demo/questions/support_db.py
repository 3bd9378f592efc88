"""What people ask support_db."""

from text2sql.demo.questions import support_answers as answers
from text2sql.demo.questions.recorded import RecordedQuestion

QUESTIONS: tuple[RecordedQuestion, ...] = (
    RecordedQuestion(
        "How many tickets are unsolved right now, by priority, and how old is the oldest of each?",
        """\
SELECT priority, COUNT(id) AS unsolved, COUNT(id) - COUNT(agent_id) AS unassigned,
  (CAST(STRFTIME('%s', DATE('now')) AS INTEGER) - CAST(STRFTIME('%s', DATE(MIN(opened_at))) AS INTEGER)) / 86400
    AS oldest_days
FROM tickets
WHERE solved_at IS NULL
GROUP BY priority
ORDER BY unsolved DESC, priority""",
        "Counts tickets without a time of solution and the whole days since the oldest was opened.",
        answers.unsolved_tickets,
    ),
    RecordedQuestion(
        "How has the number of new tickets changed month by month over the last 12 full months?",
        """\
WITH monthly AS (
  SELECT STRFTIME('%Y-%m', opened_at) AS month_label, COUNT(id) AS tickets
  FROM tickets
  WHERE opened_at >= DATE('now', 'start of month', '-12 months') AND opened_at < DATE('now', 'start of month')
  GROUP BY STRFTIME('%Y-%m', opened_at)
)
SELECT month_label, tickets, tickets - LAG(tickets) OVER (ORDER BY month_label) AS change,
  ROUND(100.0 * (tickets - LAG(tickets) OVER (ORDER BY month_label)) / LAG(tickets) OVER (ORDER BY month_label), 1)
    AS change_percent
FROM monthly
ORDER BY month_label""",
        "Counts the tickets opened per calendar month and compares each month with the one before.",
        answers.monthly_tickets,
    ),
    RecordedQuestion(
        "What is the average time to first response per team in the last 90 days?",
        """\
SELECT a.team, COUNT(t.id) AS answered,
  ROUND(AVG(CAST(STRFTIME('%s', t.first_response_at) AS INTEGER) - CAST(STRFTIME('%s', t.opened_at) AS INTEGER))
    / 60.0) AS average_minutes
FROM tickets AS t
JOIN agents AS a ON a.id = t.agent_id
WHERE t.first_response_at IS NOT NULL AND t.opened_at >= DATE('now', '-90 days')
GROUP BY a.team
ORDER BY average_minutes, a.team""",
        "Averages the minutes from opening to the first answer over the tickets opened in the last 90 days.",
        answers.response_times,
    ),
    RecordedQuestion(
        "How often do we break our promised first response time, per priority? Look at the past 180 days.",
        """\
SELECT t.priority, p.first_response_minutes AS promised_minutes, COUNT(t.id) AS answered,
  SUM(CASE WHEN CAST(STRFTIME('%s', t.first_response_at) AS INTEGER) - CAST(STRFTIME('%s', t.opened_at) AS INTEGER)
    > p.first_response_minutes * 60 THEN 1 ELSE 0 END) AS too_late,
  ROUND(100.0 * SUM(CASE WHEN CAST(STRFTIME('%s', t.first_response_at) AS INTEGER)
    - CAST(STRFTIME('%s', t.opened_at) AS INTEGER) > p.first_response_minutes * 60 THEN 1 ELSE 0 END)
    / COUNT(t.id), 1) AS too_late_percent
FROM tickets AS t
JOIN sla_policies AS p ON p.priority = t.priority
WHERE t.first_response_at IS NOT NULL AND t.opened_at >= DATE('now', '-180 days')
GROUP BY t.priority, p.first_response_minutes
ORDER BY promised_minutes""",
        "Compares the time to the first answer with the policy of the ticket's priority.",
        answers.broken_promises,
    ),
    RecordedQuestion(
        "Who are the five agents who solved the most tickets in the last 30 days, and how satisfied were their "
        "customers?",
        """\
SELECT a.full_name AS agent, a.team, COUNT(t.id) AS solved, COUNT(s.rating) AS rated,
  ROUND(100.0 * SUM(CASE WHEN s.rating >= 4 THEN 1 ELSE 0 END) / NULLIF(COUNT(s.rating), 0), 1)
    AS satisfied_percent
FROM agents AS a
JOIN tickets AS t ON t.agent_id = a.id
LEFT JOIN satisfaction AS s ON s.ticket_id = t.id
WHERE t.solved_at >= DATE('now', '-30 days')
GROUP BY a.id, a.full_name, a.team
ORDER BY solved DESC, agent
LIMIT 5""",
        "Counts solved tickets per agent and the share of ratings of 4 or 5 among those that were rated.",
        answers.busiest_agents,
    ),
    RecordedQuestion(
        "How satisfied are customers with each category of ticket? Ratings of the last six months.",
        """\
SELECT t.category, COUNT(s.ticket_id) AS ratings,
  ROUND(100.0 * SUM(CASE WHEN s.rating >= 4 THEN 1 ELSE 0 END) / COUNT(s.ticket_id), 1) AS satisfied_percent,
  SUM(CASE WHEN s.rating = 1 THEN 1 ELSE 0 END) AS very_bad
FROM satisfaction AS s
JOIN tickets AS t ON t.id = s.ticket_id
WHERE s.rated_at >= DATE('now', 'start of month', '-6 months')
GROUP BY t.category
ORDER BY satisfied_percent DESC, t.category""",
        "Takes ratings since the first day of the month six months ago and shows the share of 4 and 5.",
        answers.category_satisfaction,
    ),
    RecordedQuestion(
        "Which 10 customers opened the most tickets in the last 180 days?",
        """\
SELECT c.name AS customer, c.plan, COUNT(t.id) AS tickets,
  SUM(CASE WHEN t.priority IN ('high', 'urgent') THEN 1 ELSE 0 END) AS pressing
FROM customers AS c
JOIN tickets AS t ON t.customer_id = c.id
WHERE t.opened_at >= DATE('now', '-180 days')
GROUP BY c.id, c.name, c.plan
ORDER BY tickets DESC, pressing DESC, customer
LIMIT 10""",
        "Counts tickets per customer, with those of high or urgent priority beside.",
        answers.needy_customers,
    ),
    RecordedQuestion(
        "Which paying customers have never asked for help?",
        """\
SELECT c.name AS customer, c.plan, c.country, c.customer_since
FROM customers AS c
LEFT JOIN tickets AS t ON t.customer_id = c.id
WHERE t.id IS NULL AND c.plan <> 'free'
ORDER BY c.customer_since, customer""",
        "Lists customers on the team or business plan without any ticket.",
        answers.quiet_customers,
    ),
    RecordedQuestion(
        "How many messages does it take to solve a ticket in each channel?",
        """\
WITH written AS (
  SELECT t.id, t.channel, COUNT(m.id) AS messages
  FROM tickets AS t
  JOIN messages AS m ON m.ticket_id = t.id
  WHERE t.solved_at IS NOT NULL AND m.is_internal = 0
  GROUP BY t.id, t.channel
)
SELECT channel, COUNT(id) AS tickets, SUM(messages) AS messages, ROUND(1.0 * SUM(messages) / COUNT(id), 2)
  AS messages_per_ticket, MAX(messages) AS most_messages
FROM written
GROUP BY channel
ORDER BY messages_per_ticket, channel""",
        "Counts the messages of solved tickets without internal notes and divides by the number of tickets.",
        answers.messages_per_ticket,
    ),
    RecordedQuestion(
        "What percentage of solved tickets gets reopened in each category?",
        """\
SELECT category, COUNT(id) AS solved, SUM(CASE WHEN reopened_count > 0 THEN 1 ELSE 0 END) AS reopened,
  ROUND(100.0 * SUM(CASE WHEN reopened_count > 0 THEN 1 ELSE 0 END) / COUNT(id), 1) AS reopened_percent
FROM tickets
WHERE solved_at IS NOT NULL
GROUP BY category
ORDER BY reopened_percent DESC, category""",
        "Of all solved tickets, shows those that the customer reopened at least once.",
        answers.reopened_share,
    ),
    RecordedQuestion(
        "How much did we refund in the last twelve months, in dollars, by ticket category?",
        """\
SELECT t.category, COUNT(r.id) AS refunds, ROUND(SUM(r.amount_cents) / 100.0, 2) AS refunded_usd,
  ROUND(100.0 * SUM(r.amount_cents) / SUM(SUM(r.amount_cents)) OVER (), 1) AS share_percent
FROM refunds AS r
JOIN tickets AS t ON t.id = r.ticket_id
WHERE r.granted_on >= DATE('now', 'start of month', '-12 months')
GROUP BY t.category
ORDER BY refunded_usd DESC, t.category""",
        "Adds up refunds since the first day of the month twelve months ago and turns cents into dollars.",
        answers.refunds_by_category,
    ),
    RecordedQuestion(
        "Are we keeping up? Tickets opened and solved per day over the last 14 days, with the running difference.",
        """\
WITH moves AS (
  SELECT DATE(opened_at) AS day, 1 AS opened, 0 AS solved
  FROM tickets
  WHERE opened_at >= DATE('now', '-14 days')
  UNION ALL
  SELECT DATE(solved_at) AS day, 0 AS opened, 1 AS solved
  FROM tickets
  WHERE solved_at >= DATE('now', '-14 days')
)
SELECT day, SUM(opened) AS opened, SUM(solved) AS solved,
  SUM(SUM(opened) - SUM(solved)) OVER (ORDER BY day) AS backlog_growth
FROM moves
GROUP BY day
ORDER BY day""",
        "Counts openings and solutions per day and accumulates their difference.",
        answers.backlog,
    ),
    RecordedQuestion(
        "What are the two most frequent kinds of tickets for each plan in the last year?",
        """\
WITH asked AS (
  SELECT c.plan, t.category, COUNT(t.id) AS tickets,
    ROW_NUMBER() OVER (PARTITION BY c.plan ORDER BY COUNT(t.id) DESC, t.category) AS place
  FROM customers AS c
  JOIN tickets AS t ON t.customer_id = c.id
  WHERE t.opened_at >= DATE('now', '-365 days')
  GROUP BY c.plan, t.category
)
SELECT plan, place, category, tickets
FROM asked
WHERE place <= 2
ORDER BY plan, place""",
        "Ranks the categories within each plan by number of tickets.",
        answers.frequent_categories,
    ),
    RecordedQuestion(
        "At what hours (UTC) do most chats arrive? Top five.",
        """\
SELECT STRFTIME('%H', opened_at) AS hour, COUNT(id) AS chats,
  ROUND(100.0 * COUNT(id) / SUM(COUNT(id)) OVER (), 1) AS share_percent
FROM tickets
WHERE channel = 'chat'
GROUP BY STRFTIME('%H', opened_at)
ORDER BY chats DESC, hour
LIMIT 5""",
        "Counts the chats by hour of the day, with their share of all chats.",
        answers.busy_hours,
    ),
    RecordedQuestion(
        "How many customers rate us? Share of solved tickets with a rating, for each of the last 6 full months.",
        """\
SELECT STRFTIME('%Y-%m', t.solved_at) AS month_label, COUNT(t.id) AS solved, COUNT(s.ticket_id) AS rated,
  ROUND(100.0 * COUNT(s.ticket_id) / COUNT(t.id), 1) AS rated_percent
FROM tickets AS t
LEFT JOIN satisfaction AS s ON s.ticket_id = t.id
WHERE t.solved_at >= DATE('now', 'start of month', '-6 months') AND t.solved_at < DATE('now', 'start of month')
GROUP BY STRFTIME('%Y-%m', t.solved_at)
ORDER BY month_label""",
        "Counts the tickets solved per month and those among them that were rated.",
        answers.rating_share,
    ),
    RecordedQuestion(
        "Which tickets took longest to solve in the last 90 days? Show ten with customer and agent.",
        """\
SELECT t.id AS ticket, c.name AS customer, COALESCE(a.full_name, 'nobody') AS agent, t.priority,
  (CAST(STRFTIME('%s', t.solved_at) AS INTEGER) - CAST(STRFTIME('%s', t.opened_at) AS INTEGER)) / 3600 AS hours
FROM tickets AS t
JOIN customers AS c ON c.id = t.customer_id
LEFT JOIN agents AS a ON a.id = t.agent_id
WHERE t.solved_at >= DATE('now', '-90 days')
ORDER BY hours DESC, ticket
LIMIT 10""",
        "Measures whole hours from opening to solution of the tickets solved in the last 90 days.",
        answers.slowest_tickets,
    ),
)
