"""Tables of marketing_db as they are declared in PostgreSQL."""

from text2sql.demo.data.tables import DemoColumn as Column

CHANNELS = (
    Column("id", "integer", "Channel number", "PRIMARY KEY"),
    Column("name", "text", "Name of the channel", "NOT NULL UNIQUE"),
    Column("is_paid", "boolean", "Whether clicks in the channel cost money", "NOT NULL"),
)

CAMPAIGNS = (
    Column("id", "integer", "Campaign number", "PRIMARY KEY"),
    Column("name", "text", "Name used in reports", "NOT NULL UNIQUE"),
    Column("channel_id", "integer", "Channel the campaign runs in", "NOT NULL REFERENCES channels"),
    Column(
        "objective",
        "text",
        "awareness, leads or retention",
        "NOT NULL CHECK (objective IN ('awareness', 'leads', 'retention'))",
    ),
    Column(
        "status",
        "text",
        "planned (not started), active, paused, completed (ended)",
        "NOT NULL CHECK (status IN ('planned', 'active', 'paused', 'completed'))",
    ),
    Column("starts_on", "date", "First day; may lie in the future for planned campaigns", "NOT NULL"),
    Column("ends_on", "date", "Last day, possibly in the future; empty for campaigns without an end"),
    Column("budget", "numeric(12,2)", "Money set aside for the whole campaign, in USD", "NOT NULL"),
    Column("target_countries", "text[]", "ISO 3166 alpha-2 codes of the countries addressed", "NOT NULL"),
    Column(
        "audience",
        "jsonb",
        "Who is addressed: keys min_staff (number) and industries (list of names)",
        "NOT NULL",
    ),
)

AD_SPEND = (
    Column("campaign_id", "integer", "Campaign the money was spent on", "NOT NULL REFERENCES campaigns"),
    Column("spent_on", "date", "Day (UTC)", "NOT NULL"),
    Column("impressions", "integer", "How often the advertisement was shown", "NOT NULL"),
    Column("clicks", "integer", "How often it was clicked", "NOT NULL"),
    Column("amount", "numeric(10,2)", "Money spent that day, in USD", "NOT NULL"),
)

LEADS = (
    Column("id", "integer", "Lead number", "PRIMARY KEY"),
    Column("full_name", "text", "Name of the person", "NOT NULL"),
    Column("company", "text", "Company; empty when not given"),
    Column("email", "text", "E-mail address", "NOT NULL UNIQUE"),
    Column("country", "char(2)", "ISO 3166 alpha-2 code", "NOT NULL"),
    Column(
        "campaign_id",
        "integer",
        "Campaign that brought the lead; empty for organic leads",
        "REFERENCES campaigns",
    ),
    Column("created_at", "timestamptz", "When the form was sent (UTC)", "NOT NULL"),
    Column(
        "status",
        "text",
        "new (untouched), contacted, qualified (handed to sales), converted (bought), disqualified",
        "NOT NULL CHECK (status IN ('new', 'contacted', 'qualified', 'converted', 'disqualified'))",
    ),
    Column(
        "score",
        "smallint",
        "Estimated chance of buying, 0 to 100; empty while not scored",
        "CHECK (score BETWEEN 0 AND 100)",
    ),
)

CONVERSIONS = (
    Column("id", "integer", "Conversion number", "PRIMARY KEY"),
    Column("lead_id", "integer", "Lead that bought", "NOT NULL UNIQUE REFERENCES leads"),
    Column("converted_on", "date", "Day of the first purchase", "NOT NULL"),
    Column("plan", "text", "Plan bought: starter, team or business", "NOT NULL"),
    Column("revenue", "numeric(10,2)", "First-year revenue of the purchase, in USD", "NOT NULL"),
)

EMAIL_METRICS = (
    Column("campaign_id", "integer", "E-mail campaign", "NOT NULL REFERENCES campaigns"),
    Column("sent_on", "date", "Day of the mailing", "NOT NULL"),
    Column("segment", "text", "Recipients: prospects, customers or dormant", "NOT NULL"),
    Column("delivered", "integer", "Mails that arrived", "NOT NULL"),
    Column("bounced", "integer", "Mails that came back", "NOT NULL"),
    Column("opens", "integer", "Recipients who opened the mail", "NOT NULL"),
    Column("clicks", "integer", "Recipients who clicked a link", "NOT NULL"),
    Column("unsubscribes", "integer", "Recipients who left the list", "NOT NULL"),
)
