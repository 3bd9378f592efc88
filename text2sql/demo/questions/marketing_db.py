"""What people ask marketing_db."""

from text2sql.demo.questions import marketing_answers as answers
from text2sql.demo.questions.recorded import RecordedQuestion

QUESTIONS: tuple[RecordedQuestion, ...] = (
    RecordedQuestion(
        "Which campaigns have the lowest cost per lead in the last 90 days?",
        """\
WITH spend AS (
  SELECT campaign_id, SUM(amount) AS spent
  FROM ad_spend
  WHERE spent_on >= CURRENT_DATE - 90
  GROUP BY campaign_id
), won AS (
  SELECT campaign_id, COUNT(id) AS leads
  FROM leads
  WHERE created_at >= CURRENT_DATE - INTERVAL '90 days'
  GROUP BY campaign_id
)
SELECT c.name AS campaign, s.spent, w.leads, ROUND(s.spent / w.leads, 2) AS cost_per_lead
FROM campaigns AS c
JOIN spend AS s ON s.campaign_id = c.id
JOIN won AS w ON w.campaign_id = c.id
ORDER BY cost_per_lead, campaign
LIMIT 10""",
        "Divides the spending of each campaign by its leads of the same 90 days; campaigns without either are "
        "left out.",
        answers.cost_per_lead,
    ),
    RecordedQuestion(
        "How did our paid channels do in the last 30 days: spend, clicks, click-through rate and cost per click?",
        """\
SELECT ch.name AS channel, SUM(a.amount) AS spent, SUM(a.clicks) AS clicks,
  ROUND(100.0 * SUM(a.clicks) / NULLIF(SUM(a.impressions), 0), 2) AS click_through_percent,
  ROUND(SUM(a.amount) / NULLIF(SUM(a.clicks), 0), 2) AS cost_per_click
FROM channels AS ch
JOIN campaigns AS c ON c.channel_id = ch.id
JOIN ad_spend AS a ON a.campaign_id = c.id
WHERE a.spent_on >= CURRENT_DATE - 30
GROUP BY ch.name
ORDER BY spent DESC, channel""",
        "Adds up spending, impressions and clicks per channel and divides the sums.",
        answers.paid_channels,
    ),
    RecordedQuestion(
        "What return did we get per dollar spent in each channel over the last year?",
        """\
WITH spend AS (
  SELECT c.channel_id, SUM(a.amount) AS spent
  FROM ad_spend AS a
  JOIN campaigns AS c ON c.id = a.campaign_id
  WHERE a.spent_on >= CURRENT_DATE - 365
  GROUP BY c.channel_id
), earned AS (
  SELECT c.channel_id, SUM(v.revenue) AS revenue
  FROM conversions AS v
  JOIN leads AS l ON l.id = v.lead_id
  JOIN campaigns AS c ON c.id = l.campaign_id
  WHERE v.converted_on >= CURRENT_DATE - 365
  GROUP BY c.channel_id
)
SELECT ch.name AS channel, COALESCE(s.spent, 0) AS spent, COALESCE(e.revenue, 0) AS revenue,
  ROUND(COALESCE(e.revenue, 0) / NULLIF(s.spent, 0), 2) AS revenue_per_dollar
FROM channels AS ch
LEFT JOIN spend AS s ON s.channel_id = ch.id
LEFT JOIN earned AS e ON e.channel_id = ch.id
ORDER BY revenue_per_dollar DESC NULLS LAST, channel""",
        "Sets the revenue of conversions against advertising spend; channels that cost nothing have no ratio and "
        "come last.",
        answers.return_on_spend,
    ),
    RecordedQuestion(
        "How many leads did we get per month over the last 12 full months, and what is the month-over-month change?",
        """\
WITH monthly AS (
  SELECT DATE_TRUNC('month', created_at) AS month, COUNT(id) AS leads
  FROM leads
  WHERE created_at >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '12 months'
    AND created_at < DATE_TRUNC('month', CURRENT_DATE)
  GROUP BY DATE_TRUNC('month', created_at)
)
SELECT TO_CHAR(month, 'YYYY-MM') AS month_label, leads,
  leads - LAG(leads) OVER (ORDER BY month) AS change,
  ROUND(100.0 * (leads - LAG(leads) OVER (ORDER BY month)) / LAG(leads) OVER (ORDER BY month), 1)
    AS change_percent
FROM monthly
ORDER BY month""",
        "Counts leads per calendar month and compares each month with the one before.",
        answers.monthly_leads,
    ),
    RecordedQuestion(
        "Where do the leads of the last 180 days stand in the funnel?",
        """\
SELECT status, COUNT(id) AS leads, ROUND(100.0 * COUNT(id) / SUM(COUNT(id)) OVER (), 1) AS share_percent
FROM leads
WHERE created_at >= CURRENT_DATE - INTERVAL '180 days'
GROUP BY status
ORDER BY leads DESC, status""",
        "Counts the leads per status, with their share of all leads of the period.",
        answers.funnel,
    ),
    RecordedQuestion(
        "Which countries convert best? Only look at countries with at least 50 leads.",
        """\
SELECT l.country, COUNT(l.id) AS leads, COUNT(v.id) AS conversions,
  ROUND(100.0 * COUNT(v.id) / COUNT(l.id), 1) AS conversion_percent,
  COALESCE(SUM(v.revenue), 0) AS revenue
FROM leads AS l
LEFT JOIN conversions AS v ON v.lead_id = l.id
GROUP BY l.country
HAVING COUNT(l.id) >= 50
ORDER BY conversion_percent DESC, l.country""",
        "Compares the leads that bought with all leads of the country, over all time.",
        answers.country_conversion,
    ),
    RecordedQuestion(
        "What are the open rate and click-to-open rate of our mailings per recipient segment (last 180 days)?",
        """\
SELECT segment, COUNT(sent_on) AS mailings, SUM(delivered) AS delivered,
  ROUND(100.0 * SUM(opens) / SUM(delivered), 1) AS open_percent,
  ROUND(100.0 * SUM(clicks) / SUM(opens), 1) AS click_to_open_percent
FROM email_metrics
WHERE sent_on >= CURRENT_DATE - 180
GROUP BY segment
ORDER BY open_percent DESC, segment""",
        "Divides opens by delivered mails and clicks by opens, summed over the mailings of each segment.",
        answers.mail_rates,
    ),
    RecordedQuestion(
        "Name the two campaigns with the most revenue in every channel.",
        """\
WITH earned AS (
  SELECT ch.name AS channel, c.name AS campaign, SUM(v.revenue) AS revenue, COUNT(v.id) AS conversions,
    RANK() OVER (PARTITION BY ch.id ORDER BY SUM(v.revenue) DESC, c.name) AS place
  FROM channels AS ch
  JOIN campaigns AS c ON c.channel_id = ch.id
  JOIN leads AS l ON l.campaign_id = c.id
  JOIN conversions AS v ON v.lead_id = l.id
  GROUP BY ch.id, ch.name, c.id, c.name
)
SELECT channel, campaign, revenue, conversions
FROM earned
WHERE place <= 2
ORDER BY channel, revenue DESC, campaign""",
        "Adds up the revenue of the leads that each campaign brought and ranks campaigns within their channel.",
        answers.best_campaigns,
    ),
    RecordedQuestion(
        "Which campaigns have used more than 80% of their budget?",
        """\
SELECT c.name AS campaign, c.status, c.budget, SUM(a.amount) AS spent,
  ROUND(100 * SUM(a.amount) / c.budget, 1) AS used_percent
FROM campaigns AS c
JOIN ad_spend AS a ON a.campaign_id = c.id
GROUP BY c.id, c.name, c.status, c.budget
HAVING SUM(a.amount) > 0.8 * c.budget
ORDER BY used_percent DESC, campaign""",
        "Compares everything spent on a campaign so far with its budget.",
        answers.budget_use,
    ),
    RecordedQuestion(
        "Which campaigns spent money in the past two weeks without a single conversion in that time?",
        """\
SELECT c.name AS campaign, ch.name AS channel, SUM(a.amount) AS spent
FROM campaigns AS c
JOIN channels AS ch ON ch.id = c.channel_id
JOIN ad_spend AS a ON a.campaign_id = c.id
WHERE a.spent_on >= CURRENT_DATE - 14
  AND NOT EXISTS (
    SELECT 1
    FROM leads AS l
    JOIN conversions AS v ON v.lead_id = l.id
    WHERE l.campaign_id = c.id AND v.converted_on >= CURRENT_DATE - 14
  )
GROUP BY c.id, c.name, ch.name
ORDER BY spent DESC, campaign""",
        "Takes the campaigns with spending in the last 14 days and drops those whose leads bought in that time.",
        answers.fruitless_campaigns,
    ),
    RecordedQuestion(
        "How long does it take a lead to buy? Median and longest number of days by channel.",
        """\
SELECT COALESCE(ch.name, 'organic') AS channel, COUNT(v.id) AS conversions,
  ROUND(CAST(PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY v.converted_on - CAST(l.created_at AS DATE)) AS NUMERIC), 1)
    AS median_days,
  MAX(v.converted_on - CAST(l.created_at AS DATE)) AS longest_days
FROM conversions AS v
JOIN leads AS l ON l.id = v.lead_id
LEFT JOIN campaigns AS c ON c.id = l.campaign_id
LEFT JOIN channels AS ch ON ch.id = c.channel_id
GROUP BY COALESCE(ch.name, 'organic')
ORDER BY median_days, channel""",
        "Measures the days between the form and the purchase; leads without a campaign count as organic.",
        answers.days_to_buy,
    ),
    RecordedQuestion(
        "What part of our leads is organic, month by month, for the last six full months?",
        """\
SELECT TO_CHAR(DATE_TRUNC('month', created_at), 'YYYY-MM') AS month_label, COUNT(id) AS leads,
  COUNT(id) - COUNT(campaign_id) AS organic_leads,
  ROUND(100.0 * (COUNT(id) - COUNT(campaign_id)) / COUNT(id), 1) AS organic_percent
FROM leads
WHERE created_at >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '6 months'
  AND created_at < DATE_TRUNC('month', CURRENT_DATE)
GROUP BY DATE_TRUNC('month', created_at)
ORDER BY DATE_TRUNC('month', created_at)""",
        "Leads without a campaign are organic; they are counted per calendar month.",
        answers.organic_share,
    ),
    RecordedQuestion(
        "Show weekly ad spend for the last eight full weeks with a running total.",
        """\
WITH weekly AS (
  SELECT CAST(DATE_TRUNC('week', spent_on) AS DATE) AS week_start, SUM(amount) AS spent
  FROM ad_spend
  WHERE spent_on >= DATE_TRUNC('week', CURRENT_DATE) - INTERVAL '8 weeks'
    AND spent_on < DATE_TRUNC('week', CURRENT_DATE)
  GROUP BY CAST(DATE_TRUNC('week', spent_on) AS DATE)
)
SELECT week_start, spent, SUM(spent) OVER (ORDER BY week_start) AS running_total
FROM weekly
ORDER BY week_start""",
        "Adds up spending from Monday to Sunday and accumulates it over the eight weeks.",
        answers.weekly_spend,
    ),
    RecordedQuestion(
        "Which 5 mailings lost us the largest share of subscribers in the last 365 days?",
        """\
SELECT c.name AS campaign, m.sent_on, SUM(m.delivered) AS delivered, SUM(m.unsubscribes) AS unsubscribes,
  ROUND(100.0 * SUM(m.unsubscribes) / SUM(m.delivered), 3) AS unsubscribe_percent
FROM email_metrics AS m
JOIN campaigns AS c ON c.id = m.campaign_id
WHERE m.sent_on >= CURRENT_DATE - 365
GROUP BY c.id, c.name, m.sent_on
ORDER BY unsubscribe_percent DESC, m.sent_on, campaign
LIMIT 5""",
        "Divides unsubscribes by delivered mails for each mailing, all segments together.",
        answers.lost_subscribers,
    ),
    RecordedQuestion(
        "Do high lead scores really lead to more conversions?",
        """\
SELECT CASE
    WHEN score IS NULL THEN 'unscored'
    WHEN score < 25 THEN '00-24'
    WHEN score < 50 THEN '25-49'
    WHEN score < 75 THEN '50-74'
    ELSE '75-100'
  END AS score_band,
  COUNT(id) AS leads, COUNT(id) FILTER (WHERE status = 'converted') AS converted,
  ROUND(100.0 * COUNT(id) FILTER (WHERE status = 'converted') / COUNT(id), 1) AS converted_percent
FROM leads
GROUP BY score_band
ORDER BY score_band""",
        "Sorts leads into four bands of scores, with one more for leads never scored, and compares how many bought.",
        answers.score_bands,
    ),
    RecordedQuestion(
        "How much did we spend on campaigns that address Germany, per channel, in the last 12 months?",
        """\
SELECT ch.name AS channel, COUNT(DISTINCT c.id) AS campaigns, SUM(a.amount) AS spent
FROM ad_spend AS a
JOIN campaigns AS c ON c.id = a.campaign_id
JOIN channels AS ch ON ch.id = c.channel_id
WHERE 'DE' = ANY(c.target_countries) AND a.spent_on >= CURRENT_DATE - INTERVAL '12 months'
GROUP BY ch.name
ORDER BY spent DESC, channel""",
        "Keeps campaigns whose list of countries contains DE and adds up their spending.",
        answers.german_spend,
    ),
)
