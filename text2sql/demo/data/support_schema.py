"""Tables of support_db as they are declared in SQLite; times are text in UTC, flags are 0 or 1."""

from text2sql.demo.data.tables import DemoColumn as Column

CUSTOMERS = (
    Column("id", "INTEGER", "Customer number", "PRIMARY KEY"),
    Column("name", "TEXT", "Company name", "NOT NULL UNIQUE"),
    Column(
        "plan",
        "TEXT",
        "Plan the customer pays for: free, team or business",
        "NOT NULL CHECK (plan IN ('free', 'team', 'business'))",
    ),
    Column("country", "TEXT", "ISO 3166 alpha-2 code", "NOT NULL"),
    Column("customer_since", "TEXT", "Day of registration, YYYY-MM-DD", "NOT NULL"),
)

AGENTS = (
    Column("id", "INTEGER", "Agent number", "PRIMARY KEY"),
    Column("full_name", "TEXT", "First and last name", "NOT NULL UNIQUE"),
    Column("team", "TEXT", "first_line, technical or billing", "NOT NULL"),
    Column("hired_on", "TEXT", "First working day, YYYY-MM-DD", "NOT NULL"),
    Column("is_active", "INTEGER", "1 while the agent works here, else 0", "NOT NULL CHECK (is_active IN (0, 1))"),
)

SLA_POLICIES = (
    Column("priority", "TEXT", "Priority of the ticket: low, normal, high or urgent", "PRIMARY KEY"),
    Column("first_response_minutes", "INTEGER", "Longest time to the first answer, in minutes", "NOT NULL"),
    Column("resolution_minutes", "INTEGER", "Longest time to the solution, in minutes", "NOT NULL"),
)

TICKETS = (
    Column("id", "INTEGER", "Ticket number", "PRIMARY KEY"),
    Column("customer_id", "INTEGER", "Customer who asked", "NOT NULL REFERENCES customers (id)"),
    Column("agent_id", "INTEGER", "Agent in charge; empty while unassigned", "REFERENCES agents (id)"),
    Column("category", "TEXT", "bug, billing, how_to, account or feature_request", "NOT NULL"),
    Column("priority", "TEXT", "low, normal, high or urgent", "NOT NULL REFERENCES sla_policies (priority)"),
    Column("channel", "TEXT", "How the ticket came: email, chat or phone", "NOT NULL"),
    Column(
        "status",
        "TEXT",
        "open (nobody answered), pending (waiting for the customer or us), solved, closed (solved for a week)",
        "NOT NULL CHECK (status IN ('open', 'pending', 'solved', 'closed'))",
    ),
    Column("opened_at", "TEXT", "When the ticket was opened, YYYY-MM-DD HH:MM:SS in UTC", "NOT NULL"),
    Column("first_response_at", "TEXT", "When an agent first answered, same form; empty until then"),
    Column("solved_at", "TEXT", "When the ticket was solved, same form; empty until then"),
    Column("reopened_count", "INTEGER", "How often the customer reopened the ticket", "NOT NULL DEFAULT 0"),
)

MESSAGES = (
    Column("id", "INTEGER", "Message number", "PRIMARY KEY"),
    Column("ticket_id", "INTEGER", "Ticket the message belongs to", "NOT NULL REFERENCES tickets (id)"),
    Column(
        "author",
        "TEXT",
        "Who wrote it: customer or agent",
        "NOT NULL CHECK (author IN ('customer', 'agent'))",
    ),
    Column("sent_at", "TEXT", "When it was sent, YYYY-MM-DD HH:MM:SS in UTC", "NOT NULL"),
    Column("is_internal", "INTEGER", "1 for notes between agents, hidden from the customer", "NOT NULL"),
    Column("word_count", "INTEGER", "Length in words", "NOT NULL"),
)

SATISFACTION = (
    Column("ticket_id", "INTEGER", "Ticket that was rated", "PRIMARY KEY REFERENCES tickets (id)"),
    Column(
        "rating",
        "INTEGER",
        "1 (very bad) to 5 (very good); 4 and 5 count as satisfied",
        "NOT NULL CHECK (rating BETWEEN 1 AND 5)",
    ),
    Column("remark", "TEXT", "What the customer added; mostly empty"),
    Column("rated_at", "TEXT", "When the rating came, YYYY-MM-DD HH:MM:SS in UTC", "NOT NULL"),
)

REFUNDS = (
    Column("id", "INTEGER", "Refund number", "PRIMARY KEY"),
    Column("ticket_id", "INTEGER", "Ticket that led to the refund", "NOT NULL REFERENCES tickets (id)"),
    Column("amount_cents", "INTEGER", "Money given back, in US cents", "NOT NULL CHECK (amount_cents > 0)"),
    Column("granted_on", "TEXT", "Day of the refund, YYYY-MM-DD", "NOT NULL"),
)
