"""All checks of a parsed statement, and the proof that its printed form is the same statement."""

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from text2sql.pipeline.guard.marks import NAMING, is_unchecked
from text2sql.pipeline.guard.names import NameResolver
from text2sql.pipeline.guard.nodes import check_nodes, every_node
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Scope
from text2sql.pipeline.guard.syntax import not_parseable, parse_statement, text_between
from text2sql.pipeline.guard.view import View

UNEXPECTED = frozenset(
    {TokenType.SEMICOLON, TokenType.RAW_STRING, TokenType.HEREDOC_STRING, TokenType.UNICODE_STRING, TokenType.HINT}
)


def check_tree(sql: str, tree: exp.Expr, view: View, allowed_functions: frozenset[str]) -> NameResolver:
    """Checks and rewrites `tree`, which was parsed from `sql`; raises GuardRefusal."""
    view.policy.normalize(tree)
    check_nodes(tree, view, allowed_functions)
    names = NameResolver(view, sql)
    names.query(tree, Scope())
    for node in every_node(tree):
        if isinstance(node, NAMING) and is_unchecked(node):
            raise GuardRefusal("not_allowed", "A name or a query stands where none is allowed.")
    return names


def print_tree(tree: exp.Expr, view: View, allowed_functions: frozenset[str]) -> str:
    """The text of a checked tree, which must not be used again. No printer's slip gets to the database."""
    strings, names = _words(tree)
    language = view.policy.language()
    printed = language.generate(tree, copy=False, comments=False)
    if not _has_only(printed, language.tokenize(printed), strings, names):
        # The printer made a word of its own, as of a date's unit: is it still the kind of statement that was checked?
        again = parse_statement(printed, view.policy)
        check_nodes(again, view, allowed_functions)
        if not _words(again)[1] <= names:
            raise not_parseable(view.dialect)
    return printed


def _words(tree: exp.Expr) -> tuple[set[str], set[str]]:
    """The strings and the names that stand in a tree."""
    strings: set[str] = set()
    names: set[str] = set()
    for node in every_node(tree):
        if isinstance(node, exp.Identifier):
            names.add(node.this)
        elif isinstance(node, exp.Literal):
            strings.add(node.this)
    return strings, names


def _has_only(printed: str, tokens: list[Token], strings: set[str], names: set[str]) -> bool:
    """Do the strings and quoted names of the text all stand in the tree, and is there nothing beside the statement?"""
    for token in tokens:
        kind = token.token_type
        if kind == TokenType.STRING:
            if token.text not in strings:
                return False
        elif kind == TokenType.IDENTIFIER:
            if token.text not in names and not names.issuperset(token.text.split(".")):
                return False
        elif kind in UNEXPECTED:
            return False
    return next(text_between(printed, tokens), None) is None
