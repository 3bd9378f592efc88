"""From text to a tree of allowed nodes, and nothing else: no name is looked up here."""

import logging
import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from text2sql.pipeline.guard import policy
from text2sql.pipeline.guard.refusal import GuardRefusal

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings repeat whole statements

LONGEST_STATEMENT = 20_000
MOST_TOKENS = 5_000
DEEPEST_NESTING = 40
POSTGRES_IDENTIFIER_BYTES = 63
FORBIDDEN_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ud800-\udfff]")
OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.CASE})
CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.END})
LARGE_WIDTH = re.compile(r"%[^a-zA-Z%]*(?:\d{6,}|\*)")


class PostgresAsWritten(Postgres):
    """date_part() stays itself: EXTRACT, which sqlglot would print, gives numeric instead of double precision."""

    class Parser(PostgresParser):
        FUNCTION_PARSERS = {
            name: parse for name, parse in PostgresParser.FUNCTION_PARSERS.items() if name != "DATE_PART"
        }


PARSED_AS: dict[str, type[Dialect]] = {"postgres": PostgresAsWritten, "sqlite": SQLite}


def parse_statement(sql: str, dialect: str) -> exp.Expr:
    """The tree of the one statement in `sql`; raises GuardRefusal."""
    try:
        check_tokens(sql, PARSED_AS[dialect]().tokenize(sql))
        statements = [
            tree
            for tree in sqlglot.parse(sql, dialect=PARSED_AS[dialect])
            if not isinstance(tree, exp.Semicolon | None)
        ]
    except RecursionError:
        raise too_complex() from None
    except SqlglotError:
        raise not_parseable(dialect) from None
    if len(statements) != 1:
        raise GuardRefusal("not_one_statement", "Write exactly one statement.")
    root = statements[0]
    if root is None or type(root) not in policy.ROOTS:
        raise GuardRefusal("not_a_query", "Only a query is allowed: SELECT, a set operation, or WITH … SELECT.")
    return root


def check_text(sql: str, dialect: str) -> None:
    """Refuses what is too long to look at; the printed form may be longer, for stars are written out."""
    if len(sql.encode("utf-8", "replace")) > LONGEST_STATEMENT:
        raise too_complex()
    if FORBIDDEN_CHARACTERS.search(sql):
        raise GuardRefusal("forbidden_character", "The statement holds control characters or a byte order mark.")
    try:
        length = len(PARSED_AS[dialect]().tokenize(sql))
    except SqlglotError:
        raise not_parseable(dialect) from None
    if length > MOST_TOKENS:
        raise too_complex()


def check_tokens(sql: str, tokens: list[Token]) -> None:
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token.token_type in OPENING) - (token.token_type in CLOSING)
        if depth > DEEPEST_NESTING:
            raise too_complex()
        if any(comment.lstrip().startswith(("!", "M!", "+")) for comment in token.comments):
            raise GuardRefusal("executable_comment", "Comments that a database may execute are not allowed.")
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        if token.text.lower() == "u" and following and following.token_type == TokenType.AMP:
            quote = sql[following.end + 1 : following.end + 2]
            if quote in {"'", '"'} and following.start == token.end + 1:
                raise unicode_escape()


def check_nodes(root: exp.Expr, dialect: str, column_types: frozenset[str]) -> None:
    """Refuses every node, function and type that policy does not list."""
    for node in _walk(root):
        if type(node) not in policy.NODES:
            raise _refused_node(node)
        for argument in policy.refused_arguments(node):
            if argument == "locks":
                raise GuardRefusal("locking", "Locking rows (FOR UPDATE, FOR SHARE) is not allowed.")
            raise GuardRefusal("not_allowed", f"The clause {argument.replace('_', ' ').upper()} is not allowed.")
        if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
            _check_function(node, dialect)
        elif isinstance(node, exp.DataType):
            _check_type(node, dialect, column_types)
        elif isinstance(node, exp.Identifier):
            _check_identifier(node, dialect)
        elif isinstance(node, exp.In) and node.args.get("field") is not None:
            raise GuardRefusal("not_allowed", "IN needs a list or a query in parentheses.")
        _check_growth(node)


def normalize_strings(root: exp.Expr) -> None:
    """Dollar-quoted and E'…' strings become plain ones, so that only one kind of string is ever printed."""
    for node in list(root.find_all(exp.RawString, exp.ByteString)):
        if isinstance(node, exp.ByteString) and "\\" in node.name:
            raise GuardRefusal("escape_string", "Write the characters themselves instead of backslash escapes.")
        node.replace(exp.Literal.string(node.name))


def unicode_escape() -> GuardRefusal:
    return GuardRefusal("unicode_escape", "Unicode escapes (U&) are not allowed. Write the characters.")


def not_parseable(dialect: str) -> GuardRefusal:
    return GuardRefusal("not_parseable", f"The statement is not valid {dialect} SQL.")


def too_complex() -> GuardRefusal:
    return GuardRefusal("too_complex", "The statement is too long or too deeply nested. Ask for less at once.")


def _walk(root: exp.Expr) -> Iterator[exp.Expr]:
    """All nodes, those inside of data types and identifiers included."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_expressions())


def _refused_node(node: exp.Expr) -> GuardRefusal:
    if isinstance(node, exp.Func):
        return _refused_function(node.sql_name() if hasattr(node, "sql_name") else node.key)
    if isinstance(node, exp.UnicodeString):
        return unicode_escape()
    if isinstance(node, exp.ObjectIdentifier | exp.PseudoType):
        return GuardRefusal("type_not_allowed", "A cast to this type is not allowed.")
    if isinstance(node, exp.Parameter | exp.Placeholder):
        return GuardRefusal("parameter", "Write values into the statement; there are no parameters to bind.")
    if isinstance(node, exp.Dot):
        return GuardRefusal("not_allowed", "Functions with a schema and fields of composite values are not allowed.")
    return GuardRefusal("not_allowed", f"{type(node).__name__} is not allowed in a read-only query.")


def _check_function(node: exp.Anonymous | exp.AnonymousAggFunc, dialect: str) -> None:
    functions = policy.DIALECTS[dialect]
    name = node.this
    if not isinstance(name, str) or name.lower() not in functions.scalar | functions.sources.keys():
        raise _refused_function(name if isinstance(name, str) else node.name)


def _refused_function(name: str) -> GuardRefusal:
    return GuardRefusal("function_not_allowed", f'The function "{name.lower()}" is not among the allowed ones.')


def _check_type(node: exp.DataType, dialect: str, column_types: frozenset[str]) -> None:
    if node.this != exp.DType.USERDEFINED or dialect == "sqlite":
        return
    kind = node.args.get("kind")
    name = kind.name if isinstance(kind, exp.Identifier) else str(kind or "")
    if name.lower() not in policy.POSTGRES_TYPES | column_types:
        raise GuardRefusal("type_not_allowed", f'A cast to the type "{name}" is not allowed.')


def _check_identifier(node: exp.Identifier, dialect: str) -> None:
    if dialect == "postgres" and len(node.name.encode()) > POSTGRES_IDENTIFIER_BYTES:
        # PostgreSQL would cut it off and might then read another name than the one that was checked.
        raise GuardRefusal("identifier_too_long", f'The name "{node.name[:63]}…" is longer than 63 bytes.')


def _check_growth(node: exp.Expr) -> None:
    name = node.this.lower() if isinstance(node, exp.Anonymous) and isinstance(node.this, str) else ""
    if type(node) in policy.GROWING or name in policy.GROWING_NAMES:
        for part in node.iter_expressions():
            large = isinstance(part, exp.Pow | exp.BitwiseLeftShift) or any(map(_is_large, part.find_all(exp.Literal)))
            if large:
                raise GuardRefusal("too_large", "The statement asks a function for too many rows or characters.")
    is_formatting = name in policy.FORMATTING_NAMES or isinstance(node, exp.Format)
    if is_formatting and any(LARGE_WIDTH.search(literal.name) for literal in node.find_all(exp.Literal)):
        raise GuardRefusal("too_large", "The statement asks a function for too many rows or characters.")


def _is_large(literal: exp.Literal) -> bool:
    try:
        return not literal.is_string and float(literal.name) > policy.LARGEST_COUNT
    except ValueError:
        return False
