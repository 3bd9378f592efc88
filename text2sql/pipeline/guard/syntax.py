"""From text to the tree of one statement: length, nesting, comments and characters are looked at before parsing."""

import logging
import re
from collections.abc import Iterator

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from text2sql.pipeline.guard.policy import Policy, names
from text2sql.pipeline.guard.refusal import GuardRefusal

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings repeat whole statements

LONGEST_STATEMENT = 200_000
MOST_TOKENS = 5_000
MOST_LIST_TOKENS = 25_000
MOST_PIECES = 2 * MOST_LIST_TOKENS
PIECE = re.compile(r"\w+|[^\w\s]")
DEEPEST_NESTING = 40
FORBIDDEN_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ud800-\udfff]")
EXECUTABLE_COMMENT = re.compile(r"/\*\s*(!|M!|\+)", re.IGNORECASE)
OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
VALUES = frozenset({TokenType.NUMBER, TokenType.STRING})
LONGEST_CHAIN = 30
CHAIN = frozenset({TokenType.DOT, TokenType.L_BRACKET})
CHAIN_ENDS = frozenset(
    TokenType[name]
    for name in names("""
        COMMA SELECT FROM WHERE AND OR ON JOIN GROUP_BY ORDER_BY HAVING UNION ALIAS USING WHEN THEN ELSE END CASE IN
        PLUS DASH STAR SLASH EQ NEQ GT GTE LT LTE DPIPE IS BETWEEN LIKE ILIKE LIMIT
    """)
)
STEPS = {**dict.fromkeys(OPENING, 1), **dict.fromkeys(CLOSING, -1)}


def parse_statement(sql: str, policy: Policy) -> exp.Expr:
    """The tree of the one statement in `sql`; raises GuardRefusal."""
    # Counting pieces costs a twentieth of making tokens of them, and monsters are made of little else.
    if len(sql) > LONGEST_STATEMENT or len(PIECE.findall(sql)) > MOST_PIECES:
        raise too_complex()
    if FORBIDDEN_CHARACTERS.search(sql):
        raise GuardRefusal("forbidden_character", "The statement holds control characters or a byte order mark.")
    try:
        language = policy.language()
        tokens = language.tokenize(sql)
        check_tokens(sql, tokens)
        policy.check_text(sql, tokens)
        trees = language.parser().parse(tokens, sql)
    except RecursionError:
        raise too_complex() from None
    except SqlglotError:
        raise not_parseable(policy.dialect) from None
    statements = [tree for tree in trees if not isinstance(tree, exp.Semicolon | None)]
    if len(statements) != 1:
        raise GuardRefusal("not_one_statement", "Write exactly one statement.")
    root = statements[0]
    if root is None or type(root) not in policy.roots:
        raise GuardRefusal("not_a_query", "Only a query is allowed: SELECT, a set operation, or WITH … SELECT.")
    return root


def forget_positions(tree: exp.Expr) -> None:
    """Copying a tree is mostly copying where in the text its names stood."""
    for node in tree.find_all(exp.Identifier):
        node.meta.clear()


def check_tokens(sql: str, tokens: list[Token]) -> None:
    """Long lists of values are cheap and flat; everything else is counted and its nesting bounded."""
    depth = values = chain = 0
    previous = None
    for token in tokens:
        kind = token.token_type
        depth += STEPS.get(kind, 0)
        values += kind in VALUES or (kind == TokenType.COMMA and previous in VALUES)
        if kind in CHAIN:
            chain += 1  # the parser takes quadratic time for x.f().g()… and x[1][2]…
        elif kind in CHAIN_ENDS:
            chain = 0
        if depth > DEEPEST_NESTING or chain > LONGEST_CHAIN:
            raise too_complex()
        previous = kind
    if values > MOST_LIST_TOKENS or len(tokens) - values > MOST_TOKENS:
        raise too_complex()
    is_hinted = any(token.token_type == TokenType.HINT for token in tokens)
    if is_hinted or any(EXECUTABLE_COMMENT.search(gap) for gap in text_between(sql, tokens)):
        raise GuardRefusal("executable_comment", "Comments that a database may execute are not allowed.")


def text_between(sql: str, tokens: list[Token]) -> Iterator[str]:
    """What the tokenizer left out, where it is more than blanks: the comments."""
    end = 0
    for token in tokens:
        if token.start > end + 1 and (gap := sql[end : token.start].strip()):
            yield gap
        end = token.end + 1
    if gap := sql[end:].strip():
        yield gap


def not_parseable(dialect: str) -> GuardRefusal:
    return GuardRefusal("not_parseable", f"The statement is not valid {dialect} SQL.")


def too_complex() -> GuardRefusal:
    return GuardRefusal("too_complex", "The statement is too long or too deeply nested. Ask for less at once.")
