"""Looks at every node of a tree: what the policy does not list is refused. No name is looked up here."""

import re
from collections.abc import Iterator

from sqlglot import exp

from text2sql.pipeline.guard.marks import NAMING, mark_name
from text2sql.pipeline.guard.policy import (
    CALLS,
    FORMATTING_NAMES,
    GROWING,
    GROWING_NAMES,
    LARGEST_COUNT,
    Policy,
)
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.view import View

LARGE_WIDTH = re.compile(r"%[^a-zA-Z%]*(?:\d{6,}|\*)")
PARAMETER_SIGNS = frozenset("$@:?")
PARAMETERS = (exp.Parameter, exp.SessionParameter, exp.Placeholder)
GROWERS = tuple(GROWING | {exp.Generator, exp.GenerateDateArray, exp.GenerateTimestampArray})


def check_nodes(root: exp.Expr, view: View, allowed_functions: frozenset[str]) -> None:
    """Refuses every node, clause, function and type that the policy does not list, and marks what names something."""
    policy = view.policy
    allowed, limited, check_node = policy.all_nodes, policy.limited, policy.check_node
    strings: list[exp.Expr] = []
    for node in every_node(root):
        kind = type(node)
        if kind not in allowed and not _is_allowed_call(node, allowed_functions):
            raise _refused_node(node)
        if kind is exp.Identifier:
            _check_identifier(node, policy)
        elif kind is exp.Literal:
            continue
        elif kind is exp.Column or kind is exp.Table:
            mark_name(node)
        elif kind is exp.RawString or kind is exp.ByteString:
            strings.append(node)
        elif isinstance(node, NAMING):
            mark_name(node)
        else:
            _check_details(node, view, allowed_functions)
        if kind in limited:
            _check_clauses(node, limited[kind])
        check_node(node)
    for node in strings:
        _normalize_string(node)


def every_node(root: exp.Expr) -> Iterator[exp.Expr]:
    """All nodes, those inside of data types and identifiers included."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        for value in node.args.values():
            if isinstance(value, exp.Expr):
                stack.append(value)
            elif isinstance(value, list):
                stack += [item for item in value if isinstance(item, exp.Expr)]


def _normalize_string(node: exp.Expr) -> None:
    """Raw, dollar-quoted and E'…' strings become plain ones, so that only one kind of string is ever printed."""
    if isinstance(node, exp.ByteString):
        if node.args.get("is_bytes"):
            return
        if "\\" in node.name:
            raise GuardRefusal("escape_string", "Write the characters themselves instead of backslash escapes.")
    node.replace(exp.Literal.string(node.name))


def _check_clauses(node: exp.Expr, allowed: frozenset[str]) -> None:
    for name, value in node.args.items():
        if value and name not in allowed:
            if name == "locks":
                raise GuardRefusal("locking", "Locking rows (FOR UPDATE, FOR SHARE) is not allowed.")
            clause = name.strip("_").replace("_", " ").upper()
            raise GuardRefusal("not_allowed", f"The clause {clause} is not allowed.")


def _check_details(node: exp.Expr, view: View, allowed_functions: frozenset[str]) -> None:
    if isinstance(node, exp.Func):
        _check_growth(node)
    if isinstance(node, CALLS):
        if not isinstance(node.parent, exp.Dot) or node.parent.expression is not node:
            _check_function(node.this, "", view.policy, allowed_functions)
    elif isinstance(node, exp.Dot):
        _check_dot(node, view.policy, allowed_functions)
    elif isinstance(node, exp.DataType):
        _check_type(node, view)
    elif isinstance(node, exp.In) and node.args.get("field") is not None:
        raise GuardRefusal("not_allowed", "IN needs a list or a query in parentheses.")


def _is_allowed_call(node: exp.Expr, allowed_functions: frozenset[str]) -> bool:
    """A function that sqlglot knows by class, and that this database's owner allows."""
    return isinstance(node, exp.Func) and bool(allowed_functions) and _class_name(node).lower() in allowed_functions


def _class_name(node: exp.Func) -> str:
    return node.sql_name() if hasattr(node, "sql_name") else node.key


def _refused_node(node: exp.Expr) -> GuardRefusal:
    if isinstance(node, exp.Columns):
        return GuardRefusal("name_the_columns", "Name the columns instead of COLUMNS(…).")
    if isinstance(node, exp.Func):
        return _refused_function(_class_name(node))
    if isinstance(node, exp.UnicodeString):
        return GuardRefusal("unicode_escape", "Unicode escapes (U&) are not allowed. Write the characters.")
    if isinstance(node, exp.ObjectIdentifier | exp.PseudoType):
        return GuardRefusal("type_not_allowed", "A cast to this type is not allowed.")
    if isinstance(node, PARAMETERS):
        return GuardRefusal("parameter", "Write values into the statement; there are no parameters or variables.")
    if isinstance(node, exp.Dot):
        return GuardRefusal("not_allowed", "Functions with a schema and fields of composite values are not allowed.")
    return GuardRefusal("not_allowed", f"{type(node).__name__} is not allowed in a read-only query.")


def _check_dot(node: exp.Dot, policy: Policy, allowed_functions: frozenset[str]) -> None:
    """`namespace.function(…)`, or the field of a value. An identifier in front would be a name that nobody checks."""
    if isinstance(node.expression, exp.Func):
        path = []
        subject = node.this
        while isinstance(subject, exp.Dot):
            path.append(subject.expression)
            subject = subject.this
        path.append(subject)
        if not all(isinstance(part, exp.Identifier) for part in path):
            raise GuardRefusal("not_allowed", "A function cannot be called behind a value.")
        namespace = ".".join(part.name for part in reversed(path))
        call = node.expression
        name = call.this if isinstance(call, exp.Anonymous) else _class_name(call)
        _check_function(name, f"{namespace}.", policy, allowed_functions)
    elif isinstance(node.parent, exp.Table):
        return  # the end of a name of four parts
    elif isinstance(node.this, exp.Identifier) and not _is_namespace(node) and not _is_lambda_name(node):
        raise GuardRefusal("not_allowed", f'"{node.this.name}" is no column here.')
    elif not isinstance(node.expression, exp.Identifier | exp.Star | exp.Dot | exp.Literal):
        raise GuardRefusal("not_allowed", "Only a field can stand behind a dot.")


def _is_namespace(node: exp.Dot) -> bool:
    parent: exp.Expr | None = node
    while isinstance(parent, exp.Dot):
        if isinstance(parent.expression, exp.Func):
            return True
        parent = parent.parent
    return False


def _is_lambda_name(node: exp.Dot) -> bool:
    name = node.this.name
    enclosing = node.find_ancestor(exp.Lambda)
    while enclosing is not None:
        if any(parameter.name == name for parameter in enclosing.expressions):
            return True
        enclosing = enclosing.find_ancestor(exp.Lambda)
    return False


def _check_function(name: object, namespace: str, policy: Policy, allowed_functions: frozenset[str]) -> None:
    text = name if isinstance(name, str) else name.name if isinstance(name, exp.Expr) else str(name)
    known = f"{namespace}{text}".lower()
    if not isinstance(name, str) and known not in allowed_functions:
        raise _refused_function(known)  # a quoted name is no built-in function
    if known in policy.functions or known in allowed_functions:
        return
    if not namespace and known in policy.sources:
        return
    raise _refused_function(known)


def _refused_function(name: str) -> GuardRefusal:
    return GuardRefusal("function_not_allowed", f'The function "{name.lower()}" is not among the allowed ones.')


def _check_type(node: exp.DataType, view: View) -> None:
    if node.this != exp.DType.USERDEFINED or view.policy.types is None:
        return
    kind = node.args.get("kind")
    name = kind.name if isinstance(kind, exp.Identifier) else str(kind or "")
    if name.lower() not in view.policy.types and name.lower() not in view.column_types:
        raise GuardRefusal("type_not_allowed", f'A cast to the type "{name}" is not allowed.')


def _check_identifier(node: exp.Expr, policy: Policy) -> None:
    if node.name[:1] in PARAMETER_SIGNS and not node.args.get("quoted"):
        raise GuardRefusal("parameter", "Write values into the statement; there are no parameters or variables.")
    longest = policy.longest_name
    if longest is not None and len(node.name) * 4 > longest and len(node.name.encode()) > longest:
        # The database would cut it off and might then read another name than the one that was checked.
        raise GuardRefusal("identifier_too_long", f'The name "{node.name[:63]}…" is longer than {longest} bytes.')


def _check_growth(node: exp.Expr) -> None:
    name = node.this.lower() if isinstance(node, exp.Anonymous) and isinstance(node.this, str) else ""
    if isinstance(node, GROWERS) or name in GROWING_NAMES:
        for part in node.iter_expressions():
            large = isinstance(part, exp.Pow | exp.BitwiseLeftShift) or any(map(_is_large, part.find_all(exp.Literal)))
            if large:
                raise GuardRefusal("too_large", "The statement asks a function for too many rows or characters.")
    is_formatting = name in FORMATTING_NAMES or isinstance(node, exp.Format)
    if is_formatting and any(LARGE_WIDTH.search(literal.name) for literal in node.find_all(exp.Literal)):
        raise GuardRefusal("too_large", "The statement asks a function for too many rows or characters.")


def _is_large(literal: exp.Literal) -> bool:
    try:
        return not literal.is_string and float(literal.name) > LARGEST_COUNT
    except ValueError:
        return False
