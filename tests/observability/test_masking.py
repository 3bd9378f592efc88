"""What is masked, what is not, and that nothing unmasked is written down or leaves."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from observability.masking import KINDS, mask, mask_label, redact
from observability.models import Score, Trace
from observability.services.scores import score_record, scores_export
from observability.services.traces import ObservationRecord, trace_id_for, trace_record, traces_export
from tests.observability.conftest import START, trace_made
from tests.standins.langfuse import LangfuseStandIn
from text2sql.demo.questions import marketing_db, operations_db, sales_db, support_db

SECRET = "S3cr3t-v4lue_xyz"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
IN_KIND = {
    "email": [
        "ada@example.com",
        "Ada.Love-lace+x@mail.example.co.uk",
        "é.ß@müller.de",
        "ada@xn--bcher-kva.example",
    ],
    "phone": [
        "+49 30 1234567",
        "+49 (0)30 1234567",
        "+4915112345678",
        "+1 212-555-0100",
        "+33 6 12 34 56 78",
        "0049 30 1234567",
        "(0049) 30 1234567",
        "(030) 1234567",
        "030/1234567",
        "0171 2345678",
        "01712345678",
        "020 7946 0958",
        "01 23 45 67 89",
        "01.23.45.67.89",
        "(212) 555-0100",
        "212-555-0100",
        "1-800-555-0100",
        "+49\u00a030\u00a01234567",
    ],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4222222222222",
        "5555 5555 5555 4444",
        "2223 0031 2200 3222",
        "3782 822463 10005",
        "3056 930902 5904",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
        "6304000000000000",
        "4111\u00a01111\u00a01111\u00a01111",
    ],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO93 8601 1117 947", "de89370400440532013000"],
    "key": [
        f"sk-ant-api03-{SECRET}",
        f"t2s_ab12cd34_{SECRET}",
        f"sk-lf-{SECRET}",
        f"pk-lf-{SECRET}",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11AAAAAAA0abcdefghijkl_mnopqrstuvwx",
        "xoxb-123456789012-abcdefABCDEF",
        JWT,
    ],
}
PLACEHOLDER = {"email": "[email]", "phone": "[phone]", "card": "[card]", "iban": "[iban]"}
STAYS = [
    # ids, times and amounts
    "order 1000234567 of customer 4711",
    "id 1763912345678 at 1763912345678901234",
    "order_no = '0000123456' OR order_no = '0012345678'",
    "1234567890123456 9876543210987654",
    "4111111111111112",
    "4111111111111111.50",
    "0.4111111111111111",
    "2026-11-23",
    "2026-11-23 09:30:15.123456+02:00",
    "2026-11-23T09:30:15Z",
    "20261123093015",
    "01-02-2026 10:30",
    "01/02/2026 and 03/04/2026",
    "01/2026-06/2026",
    "01.02.2026 10.30",
    "from 01.02.26 to 03.04.26",
    "12,345.67 and 1.234,56 and 1 234 567.89 and -0.5 and 1e-12",
    "+12345678.90 and +1,500,000 and +5 %",
    "0.01,0.02,0.03",
    "192.168.100.200:5432 and 10.0.0.1",
    "019a1b2c-1234-7abc-8def-0123456789ab",
    "41111111-1111-4111-8111-111111111111",
    "01234567-1234-1234-1234-123456789012",
    "req_011CSHoEeqs5C35K2UUqR7Fy",
    "claude-haiku-4-5-20251001",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    # SQL
    "SELECT * FROM people WHERE email LIKE '%@example.com' AND split_part(email, '@', 2) = 'x'",
    "SELECT s.id FROM sessions s JOIN users u ON s.token = u.reset_token WHERE u.has_password = TRUE",
    "SELECT api_key::text, secret_count FROM keys WHERE secret_level = 3 AND token IS NULL",
    "SELECT tags @> '{a}' FROM t LIMIT 100 OFFSET 200",
    # words
    "basic customers and bearer instruments of the task-ant-hill",
    "usage input_tokens=120 output_tokens: 350 max_tokens=4096",
    "langfuse@5.0.4 and anthropic==2.12.0",
    "postgresql://reader@db.example.com:5432/sales",
    "https://cloud.langfuse.com:443/api/public/v2/metrics?query=x",
]


@pytest.mark.parametrize(
    "around", ["{}", "call {}, please", "({})", "'{}'", '{{"note": "{}"}}', "{}.", "x={} y", "é {}\n"]
)
@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in PLACEHOLDER for text in IN_KIND[kind]])
def test_what_tells_a_person_is_masked_wherever_it_stands(kind: str, text: str, around: str) -> None:
    assert mask(around.format(text)) == around.format(PLACEHOLDER[kind])


@pytest.mark.parametrize("around", ["{}", "with {} in it", "'{}'", '{{"note": "{}"}}', "x:{} y", "key={}"])
@pytest.mark.parametrize("text", IN_KIND["key"])
def test_a_key_is_masked_and_its_kind_stays_visible(text: str, around: str) -> None:
    masked = mask(around.format(text))
    assert text[8:] not in masked
    assert "***" in masked
    assert around.format(text[:3])[:4] in masked


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert mask(text) == text


def test_every_recorded_question_and_its_sql_stay_as_they_are() -> None:
    recorded = [one for module in (marketing_db, operations_db, sales_db, support_db) for one in module.QUESTIONS]
    assert len(recorded) > 40
    for one in recorded:
        texts = [one.question, one.sql, one.explanation]
        assert mask(texts) == texts


@given(st.uuids(), st.datetimes(), st.decimals(allow_nan=False, allow_infinity=False, places=2), st.dates())
def test_uuids_times_and_amounts_stay(uuid: Any, time: Any, amount: Any, day: Any) -> None:
    text = f"{uuid} {time.isoformat()} {amount} '{day}' {uuid.hex}"
    assert mask(text) == text


@given(
    st.integers(min_value=1, max_value=10**12), st.integers(min_value=1_000_000_000_000, max_value=1_999_999_999_999)
)
def test_ids_and_times_in_milliseconds_stay(number: int, milliseconds: int) -> None:
    text = f"WHERE order_id = {number} AND at_ms > {milliseconds}"
    assert mask(text) == text


@given(st.text())
@example("password = password = x")
@example("a@b.cc@d.ee +49 30 1234567 4111 1111 1111 1111 DE89 3704 0044 0532 0130 00")
def test_masking_again_changes_nothing(text: str) -> None:
    assert mask(mask(text)) == mask(text)
    assert redact(redact(text)) == redact(text)


def test_neighbours_of_what_is_masked_stay() -> None:
    assert (
        mask("12 4111-1111-1111-1111 123 of ada@example.com, 030 1234567 10.50 EUR, DE89 3704 0044 0532 0130 00 AND")
        == "12 [card] 123 of [email], [phone] 10.50 EUR, [iban] AND"
    )


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://reader:{}@db.example.com/sales",
        "redis://:{}@localhost:6379/0",
        "Authorization: Bearer {}",
        '{{"authorization": "Basic {}"}}',
        "bearer {}",
        "password={}",
        "DB_PASSWORD = {}",
        '{{"password": "{}"}}',
        '{{\\"api_key\\": \\"{}\\"}}',
        "WHERE token = '{} and more'",
        "?x=1&access_token={}&page=2",
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_secret_with_its_name_is_masked(text: str) -> None:
    assert SECRET not in mask(text.format(SECRET))
    assert SECRET not in redact(text.format(SECRET))


def test_a_password_of_several_words_in_quotes_is_masked_to_its_end() -> None:
    assert mask('{"password": "correct horse battery", "rows": 3}') == '{"password": "***", "rows": 3}'


def test_fields_with_a_secrets_name_are_masked_whatever_they_hold() -> None:
    given = {"api_key": "short", "inner": [{"password": "x", "tokens": 3}], "first_token": 0.4, "secret": None}
    assert mask(given) == {
        "api_key": "***",
        "inner": [{"password": "***", "tokens": 3}],
        "first_token": 0.4,
        "secret": None,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_taken_alone(settings: Settings, kind: str) -> None:
    settings.MASKING = [kind]
    one_each = {"url_password": "redis://:hunter2@cache"} | {name: texts[-1] for name, texts in IN_KIND.items()}
    assert set(one_each) == set(KINDS)
    changed = {name for name, text in one_each.items() if mask(text) != text}
    assert changed == {kind}


def test_the_word_none_masks_nothing(settings: Settings) -> None:
    settings.MASKING = ["none"]
    texts = [text for texts in IN_KIND.values() for text in texts] + [{"password": "x"}]
    assert mask(texts) == texts


def test_own_patterns_are_masked_too(settings: Settings) -> None:
    settings.MASKING = ["email"]
    settings.MASKING_PATTERNS = [r"\bKD-\d{6}\b", r"\w+@corp\.internal"]
    assert mask("KD-123456 KD-12 ada@corp.internal bob@example.com") == "*** KD-12 *** [email]"


def test_an_own_pattern_that_cannot_be_read_lets_nothing_through(settings: Settings) -> None:
    settings.MASKING_PATTERNS = ["("]
    assert mask(["a\nb", ""]) == ["***", ""]


def test_a_masked_label_keeps_its_identity_and_tells_nothing(settings: Settings) -> None:
    one, other = mask_label("chat of ada@example.com"), mask_label("chat of bob@example.com")
    assert one != other
    assert re.fullmatch(r"chat of \[email\]#[0-9a-f]{12}", one)
    assert mask_label("chat of ada@example.com") == one
    assert mask_label("session-1") == "session-1"
    settings.SECRET_KEY = "another " * 8
    assert mask_label("chat of ada@example.com") != one


# Each made a pattern with a nested or an unanchored repeat take time with the square or the cube of its length.
HOSTILE = [
    "a.", "a-", "a@", "@", "a@a.", "password", "password-", "token ", "api-", "pwd'", "sk-ant-", "ghp_", "eyJ",
    "eyJa.", "eyJaaaaaaa-", "://", "://a:", "://a:b@", "bearer ", "authorization ", "authorization:\n",
    "-----BEGIN PRIVATE KEY-----", "password=", "password:", '"password" ', " ", '\\"', "1 ", "1-", "12", "0", "+1",
    "01 ", "4111 ", "4111-1111-", "(212) ", "123-456-", "AB12", "AB12 CDEF ", "0123 ",
]  # fmt: skip


@pytest.mark.timeout(60)  # what does not grow with the text in proportion runs for hours
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    assert mask(mask(text)) == mask(text)
    assert redact(text)


PERSONAL = "ada@example.com"


@pytest.mark.django_db
def test_neither_the_outbox_nor_langfuse_holds_what_is_masked(langfuse: LangfuseStandIn) -> None:
    broken = ObservationRecord(
        key="root",
        name="text2sql_generation",
        started_at=START,
        ended_at=START,
        level="ERROR",
        status_message=f"no such user {PERSONAL}",
        input={"question": f"What did {PERSONAL} buy?", "turns": [{"content": PERSONAL}]},
        output={"sql": f"SELECT 1 WHERE email = '{PERSONAL}'", "traceback": f"ValueError: {PERSONAL}"},
        metadata={"note": PERSONAL, "nested": {"deep": [PERSONAL]}, "api_key": "abc"},
    )
    trace_record(
        trace_made(
            user_id="sales",
            session_id=f"chat-{PERSONAL}",
            tags=["text2sql", f"for:{PERSONAL}"],
            metadata={"end_user": PERSONAL, "generation_id": "019a1b2c-1234-7abc-8def-0123456789ab"},
            observations=[broken],
        )
    )
    score_record(
        score_id="feedback-1",
        trace_id=trace_id_for("generation-1"),
        name="user_feedback",
        value=0,
        data_type="BOOLEAN",
        comment=f"{PERSONAL} bought more",
    )
    assert "example.com" not in json.dumps(Trace.objects.get().payload)
    assert Score.objects.get().comment == "[email] bought more"
    assert traces_export().delivered == scores_export().delivered == 1
    (stored,) = langfuse.observations()
    assert "example.com" not in str(stored)
    assert json.loads(stored.output or "")["sql"] == "SELECT 1 WHERE email = '[email]'"
    assert (stored.trace_id, stored.user_id) == (trace_id_for("generation-1"), "sales")
    assert stored.metadata["generation_id"] == "019a1b2c-1234-7abc-8def-0123456789ab"
    assert stored.metadata["end_user"].startswith("[email]#")
    assert langfuse.scores()[0].comment == "[email] bought more"


@pytest.mark.django_db
def test_two_sessions_named_by_mail_stay_two(langfuse: LangfuseStandIn) -> None:
    for name in ("ada", "bob"):
        trace_record(trace_made(name, session_id=f"{name}@example.com"))
    assert len({payload["session_id"] for payload in Trace.objects.values_list("payload", flat=True)}) == 2


@pytest.mark.django_db
def test_what_is_shortened_was_masked_before(langfuse: LangfuseStandIn) -> None:
    cut_inside = "x" * 175 + " 4111111111111111 and on it goes"
    trace = trace_record(trace_made(metadata={"note": cut_inside}))
    assert trace is not None
    assert "[card]" in trace.payload["metadata"]["note"]
    assert "4111" not in trace.payload["metadata"]["note"]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(before=st.text(max_size=40), after=st.text(max_size=40))
@pytest.mark.django_db
def test_nothing_around_an_address_brings_it_through(langfuse: LangfuseStandIn, before: str, after: str) -> None:
    Trace.objects.all().delete()
    trace = trace_record(trace_made(session_id=f"{before} {PERSONAL} {after}", tags=[f"{before} {PERSONAL}"]))
    assert trace is not None
    assert PERSONAL not in json.dumps(trace.payload)
