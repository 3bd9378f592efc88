"""What must not leave, and what must not stand in a log: secrets, and people's addresses and numbers.

Every pattern takes time in proportion to the text, whatever the text: what it repeats is bounded, or starts only where
the run of its characters starts and never gives back what it took.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

logger = logging.getLogger(__name__)

MASK = "***"
OFF = "none"  # as the only kind: nothing is masked


@dataclass(frozen=True, slots=True)
class _Replaced:
    """What is masked wherever it stands. Only a text with one of `hints` (in small letters) can hold it."""

    pattern: re.Pattern[str]
    masked: str
    hints: tuple[str, ...] = ()

    def mask(self, text: str, small: str) -> str:
        if self.hints and not any(hint in small for hint in self.hints):
            return text
        return self.pattern.sub(self.masked, text)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What only a look at all its characters tells: each candidate is tried from its longest end to the shortest.

    The pattern is bounded, so a candidate costs a constant. UUIDs are stepped over: parts of them look like numbers.
    """

    pattern: re.Pattern[str]
    is_one: Callable[[str], bool]
    masked: str
    shortest: int
    edge: re.Pattern[str]
    hint: re.Pattern[str]

    def mask(self, text: str, _small: str) -> str:
        if not self.hint.search(text):
            return text
        parts: list[str] = []
        taken = at = 0
        while found := self.pattern.search(text, at):
            at = found.end()
            if found["uuid"]:
                continue
            end = self._end(found)
            if end is None:
                at = found.start() + 1
                continue
            parts += [text[taken : found.start()], self.masked]
            taken = at = end
        return "".join([*parts, text[taken:]]) if parts else text

    def _end(self, found: re.Match[str]) -> int | None:
        text, start = found.string, found.start()
        for end in range(found.end(), start + self.shortest - 1, -1):
            if text[end - 1].isalnum() and self.edge.match(text, end) and self.is_one(text[start:end]):
                return end
        return None


Rule = _Replaced | _Checked


def _secret(pattern: str, masked: str, *hints: str) -> _Replaced:
    return _Replaced(re.compile(pattern), masked, hints)


def _checked(
    pattern: str, is_one: Callable[[str], bool], masked: str, *, shortest: int, edge: str, hint: str
) -> _Checked:
    uuid = r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)"
    either = re.compile(rf"(?P<uuid>{uuid})|(?:{pattern})", re.ASCII)
    return _Checked(either, is_one, masked, shortest, re.compile(edge), re.compile(hint, re.ASCII))


# --- Secrets --------------------------------------------------------------------------------------------------------
_NAMES = ("password", "passwd", "secret", "token", "pwd", "key")
_SECRET_NAME = (
    r"(?:(?=[\w-]*?(?:password|passwd|secret|api[_-]?key|access[_-]?key|private[_-]?key)"  # noqa: S105  # names of secrets
    r"|[\w-]*(?:token|pwd)(?![\w-]))[\w-]++)"
)
_IS_SECRET_NAME = re.compile(rf"(?i){_SECRET_NAME}|authorization")
_ASSIGNED = rf"(?<![\w-]){_SECRET_NAME}\\?[\"']?\s*(?:=|:(?!:))\s*"
_QUOTED = r"(?<=[\"'])[^\"'\\\r\n]+"
_BARE = r"[^\s\"'\\,;&)}\]]+"
# In SQL and in code a name such as `token` may be compared with a column, a truth or a small number.
_UNLESS_SQL = r"(?!(?:true|false|null|none|\d{1,3}|[a-z_]\w*\.[a-z_]\w*)(?![\w.-]))"

_URL_PASSWORD = _secret(r"(://[^\s:/@\"']*:)[^\s/\"']+@", rf"\1{MASK}@", "://")  # postgresql://user:password@host
_KEYS = (
    # Keys whose beginning shows what they are: Claude's, ours, Langfuse's; AWS's; GitHub's, Stripe's, Slack's.
    _secret(r"(?<![A-Za-z0-9])(sk-ant-|t2s_|sk-lf-|pk-lf-)[\w-]+", rf"\1{MASK}", "sk-ant-", "t2s_", "k-lf-"),
    _secret(r"(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", rf"\1{MASK}", "akia", "asia"),
    _secret(
        r"(?<![A-Za-z0-9])(gh[pousr]_|github_pat_|[sr]k_(?:live|test)_|xox[abeprs]-)[\w-]{16,}+",
        rf"\1{MASK}",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "k_live_", "k_test_", "xox"),
    ),
    # A JSON Web Token.
    _secret(r"(?<![\w-])eyJ[\w-]{6,}+\.[\w-]++(?:\.[\w-]*+){1,3}", f"eyJ{MASK}", "eyj"),
    _secret(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?s:.*?)(?=-----END|\Z)", rf"\1{MASK}", "-----begin"),
    # Authorization: Bearer …, "authorization": "Basic …"
    _secret(r"(?i)(\bauthorization\\?[\"']?\s*(?:=|:(?!:))\s*\\?[\"']?)[^\"'\\,}\r\n]+", rf"\1{MASK}", "authorization"),
)
# In a log any doubt is a secret; in a question "basic customers" is none, nor is a column in SQL.
_IN_LOGS = (
    _secret(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", rf"\1{MASK}", "bearer", "basic"),
    _secret(rf"(?i)({_ASSIGNED}\\?[\"']?)(?:{_QUOTED}|{_BARE})", rf"\1{MASK}", *_NAMES),
)
_IN_TRACES = (
    _secret(r"((?i:\bbearer)\s+)(?=\S*?(?:\d|[a-z][A-Z]))[\w.~+/=-]{8,}", rf"\1{MASK}", "bearer"),
    _secret(r"((?i:\bbasic)\s+)(?=\S*?[a-z][A-Z])[A-Za-z0-9+/=]{8,}", rf"\1{MASK}", "basic"),
    _secret(rf"(?i)({_ASSIGNED}(?:\\?[\"'])?)(?:{_QUOTED}|{_UNLESS_SQL}{_BARE})", rf"\1{MASK}", *_NAMES),
)

# --- People ---------------------------------------------------------------------------------------------------------
# Not `%@example.com` (a pattern in SQL), `package@1.2.3` (a version) or `://name@host` (a connection).
_EMAIL = _secret(
    r"(?<![\w.+-])(?<!://)[\w.+-]++@(?=[\w.-]*?\.[^\W\d_]{2})[\w-]++(?:\.[\w-]++)*+", "[email]", "@"
)  # fmt: skip

# What people put between digits: also spaces that do not break.
_BLANK = "[ \u00a0\u202f-]"
_APART = "[ \u00a0\u202f./()-]"

_ISSUED = re.compile(
    r"""4(?:\d{12}|\d{15}|\d{18})                                                               # Visa
    |   (?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}                         # Mastercard
    |   3[47]\d{13}                                                                             # American Express
    |   3(?:0[0-5]|[689]\d)\d{11,16}                                                            # Diners Club
    |   (?:6011|64[4-9]\d|65\d\d|352[89]|35[3-8]\d)\d{12,15}                                     # Discover, JCB
    |   (?:62|81)\d{14,17} | (?:50(?:18|20|38)|5893|6304|6759|676[1-3])\d{9,15}                 # UnionPay, Maestro
    |   220[0-4]\d{12,15} | 9792\d{12}                                                         # Mir, Troy
    """,
    re.VERBOSE,
)


def _is_card(text: str) -> bool:
    """13 to 19 digits that an issuer gives out and whose check digit is right (Luhn).

    By the check digit alone every tenth number would be a card; times in milliseconds begin as no card does.
    """
    plain = re.sub(_BLANK, "", text)
    if not _ISSUED.fullmatch(plain):
        return False
    doubled = "".join(str(int(digit) * 2) for digit in plain[-2::-2])
    return sum(map(int, plain[-1::-2] + doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    plain = re.sub(_BLANK, "", text)
    return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1


_DATE = re.compile(r"\d{1,2}([-./])(?:\d{1,2}\1(?:\d{4}|\d{2})(?!\1?\d)|\d{4}(?!\d))")


def _is_phone(text: str) -> bool:
    text = text.lstrip("(")
    digits = sum(character.isdigit() for character in text)
    if re.fullmatch(r"\+?\d+\.\d+", text) or _DATE.match(text):
        return False
    if text.startswith("00"):  # without a space it may as well be a number with zeros before it
        return 10 <= digits <= 17 and not text.isdigit()
    if text.startswith("0"):
        return 10 <= digits <= 11 if text.isdigit() else 9 <= digits <= 12
    return 9 <= digits <= 15


_PHONE = (
    rf"(?<![\w)])\+[1-9](?:{_APART}{{0,2}}\d){{8,14}}"  # +49 (0)30 1234567
    rf"|(?<![\w.,:+-])(?:\((?=\d{{2,6}}\)))?0{{1,2}}[1-9](?:{_APART}{{0,2}}\d){{6,14}}"  # 0049 30 1234567, 0171/2345678
    r"|(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}"  # (212) 555-0100
)
_NINE_DIGITS = rf"\d(?:{_APART}{{0,2}}\d){{8}}"

_RULES: dict[str, tuple[Rule, ...]] = {
    "url_password": (_URL_PASSWORD,),
    "key": (*_KEYS, *_IN_TRACES),
    "email": (_EMAIL,),
    "iban": (
        _checked(
            rf"(?<!\w)[A-Za-z]{{2}}\d\d(?:{_BLANK}?[A-Za-z0-9]{{4}}){{2,7}}(?:{_BLANK}?[A-Za-z0-9]{{1,3}})?",
            _is_iban,
            "[iban]",
            shortest=15,
            edge=r"(?!\w)",
            hint=rf"[A-Za-z]\d\d{_BLANK}?[A-Za-z0-9]{{4}}",
        ),
    ),
    "card": (
        _checked(
            rf"(?<![\w+])(?<!\d\.)\d{{4}}(?:{_BLANK}?\d){{9,15}}",
            _is_card,
            "[card]",
            shortest=13,
            edge=r"(?!\w|\.\d)",
            hint=_NINE_DIGITS,
        ),
    ),
    "phone": (_checked(_PHONE, _is_phone, "[phone]", shortest=9, edge=r"(?!\w|\.\d|-\w)", hint=_NINE_DIGITS),),
}
KINDS = tuple(_RULES)


def redact(text: str) -> str:
    """The text with everything masked that looks like a key, a password or a credential. For logs; asks no settings."""
    return _applied((_URL_PASSWORD, *_KEYS, *_IN_LOGS), text)


@lru_cache(maxsize=1024)  # the same few names come with every trace
def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, such as `password` or `api_key`."""
    return _IS_SECRET_NAME.fullmatch(name) is not None


def mask(value: Any) -> Any:
    """JSON with every string in it masked as the settings say, and wholly in a field that has a secret's name."""
    return _masking(tuple(settings.MASKING), tuple(settings.MASKING_PATTERNS)).masked(value)


def mask_label(text: str, *, name: str = "") -> str:
    """A label (of that name) masked so that two stay two: traces are grouped by sessions, tags and metadata.

    Where something was masked a fingerprint follows, which tells nothing to those who do not have our SECRET_KEY.
    """
    label: str = mask_labels({name: text})[name]
    return label


def mask_labels(values: Mapping[str, Any]) -> dict[str, Any]:
    """Every text of these as `mask_label` masks it, all else as `mask` does."""
    masked: dict[str, Any] = mask(values)
    return {name: _told_apart(masked[name], value) for name, value in values.items()}


def _told_apart(masked: Any, value: Any) -> Any:
    if not isinstance(value, str) or masked == value:
        return masked
    return f"{masked}#{salted_hmac('observability.masking', value, algorithm='sha256').hexdigest()[:12]}"


def mask_problems(kinds: list[str], patterns: list[str]) -> tuple[list[str], list[str]]:
    """What is wrong with MASKING and with MASKING_PATTERNS, in words; own patterns are named by their place."""
    wrong_kinds = [] if kinds == [OFF] else [kind for kind in kinds if kind not in _RULES]
    wrong_patterns = []
    for place, pattern in enumerate(patterns, start=1):
        try:
            if re.compile(pattern).search(""):
                wrong_patterns.append(f"pattern {place} matches where nothing stands")
        except (re.error, OverflowError, RecursionError) as error:
            wrong_patterns.append(f"pattern {place} is no regular expression: {error}")
    return wrong_kinds, wrong_patterns


def _applied(rules: tuple[Rule, ...], text: str) -> str:
    small = text.lower()
    for rule in rules:
        text = rule.mask(text, small)
    return text


@dataclass(frozen=True, slots=True)
class _Masking:
    rules: tuple[Rule, ...]
    hides_secret_names: bool
    # A text with none of these holds nothing for any rule, which most texts are; None: there are rules without hints.
    hints: tuple[str, ...] | None
    checked_hint: re.Pattern[str]

    def masked(self, value: Any) -> Any:
        match value:
            case str():
                return value if self._is_harmless(value) else _applied(self.rules, value)
            case Mapping():
                return {name: self._field(name, inner) for name, inner in value.items()}
            case list() | tuple():
                return [self.masked(inner) for inner in value]
            case _:
                return value

    def _is_harmless(self, text: str) -> bool:
        if self.hints is None or self.checked_hint.search(text):
            return False
        small = text.lower()
        for hint in self.hints:  # noqa: SIM110  # any() costs three times as much, for each text of each trace
            if hint in small:
                return False
        return True

    def _field(self, name: Any, value: Any) -> Any:
        if self.hides_secret_names and value and isinstance(value, str) and is_secret_name(str(name)):
            return MASK
        return self.masked(value)


@lru_cache(maxsize=8)
def _masking(kinds: tuple[str, ...], patterns: tuple[str, ...]) -> _Masking:
    # Own patterns come first: they are written for the text as it is.
    own = [_own_rule(pattern) for pattern in patterns]
    rules = (*own, *(rule for kind, rules in _RULES.items() if kind in kinds for rule in rules))
    replaced = [rule for rule in rules if isinstance(rule, _Replaced)]
    checked = [rule.hint.pattern for rule in rules if isinstance(rule, _Checked)]
    return _Masking(
        rules=rules,
        hides_secret_names="key" in kinds,
        hints=tuple({hint for rule in replaced for hint in rule.hints})
        if all(rule.hints for rule in replaced)
        else None,
        checked_hint=re.compile("|".join(f"(?:{hint})" for hint in dict.fromkeys(checked)) or "(?!)", re.ASCII),
    )


def _own_rule(pattern: str) -> Rule:
    try:
        return _Replaced(re.compile(pattern), MASK)
    except (re.error, OverflowError, RecursionError):
        # The system check stops the start over it. What started all the same must not let through what was meant.
        logger.exception("MASKING_PATTERNS holds no regular expression in one place: whole texts are masked")
        return _Replaced(re.compile(r"(?s)\A.+\Z"), MASK)
