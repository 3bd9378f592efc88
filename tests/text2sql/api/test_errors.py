"""Every error below /api/ is a problem document, whoever makes it: DRF, Django, a crash, or the host check."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from teams.services.keys import key_revoke
from tests.clients import ApiClient
from tests.factories import GenerationFactory, make_key
from tests.text2sql.api.conftest import Shopper, assert_problem
from text2sql.models import Catalog
from text2sql.problems import PROBLEMS
from text2sql.services.targets import _view

ASK = {"database": "shop", "question": "Who?"}


@pytest.fixture(params=[True, False], ids=["debug", "production"], autouse=True)
def debug(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.DEBUG = request.param


def test_an_unknown_address_is_a_problem(shopper: Shopper) -> None:
    for path in ("nothing", "generations/17", "generate/", "generations/not-a-uuid/execute", ""):
        assert_problem(shopper.api.get(path), 404, "not-found")
    assert_problem(Client().get("/api/v2/generate"), 404, "not-found")
    assert_problem(Client().post("/api/", "x", content_type="text/plain"), 404, "not-found")


def test_an_address_outside_the_api_stays_a_page_for_people(shopper: Shopper) -> None:
    response = Client().get("/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(shopper: Shopper) -> None:
    response = shopper.api.get("generate")
    assert_problem(response, 405, "method-not-allowed")
    assert "POST" in response.headers["Allow"]
    assert_problem(shopper.api.post("databases"), 405, "method-not-allowed")
    assert_problem(shopper.api.client.delete("/api/v1/me", headers=shopper.api.headers), 405, "method-not-allowed")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_media_type_is_not_read(shopper: Shopper, media: str) -> None:
    response = shopper.api.post("generate", "question=x", content_type=media)
    assert_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("body", ["", "{", "{'a': 1}", "\xff\xfe", b"\xff\xfe", '{"a": NaN}'])
def test_what_is_no_json_is_a_problem(shopper: Shopper, body: str | bytes) -> None:
    response = shopper.api.post("generate", body)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"


def test_json_nested_without_end_is_a_problem(shopper: Shopper) -> None:
    assert_problem(shopper.api.post("generate", "[" * 20_000), 400, "bad-request")


def test_a_body_beyond_all_measure_is_not_read(shopper: Shopper) -> None:
    assert_problem(shopper.api.post("generate", {**ASK, "more": "x" * 1_000_000}), 413, "too-large")


@pytest.mark.parametrize("body", ["[]", "[1]", '"text"', "null", "17", "true"])
def test_json_that_is_no_object_is_not_valid(shopper: Shopper, body: str) -> None:
    assert_problem(shopper.api.post("generate", body), 400, "invalid-request")


def test_another_answer_than_json_cannot_be_had(shopper: Shopper) -> None:
    response = shopper.api.client.get("/api/v1/me", headers={**shopper.api.headers, "Accept": "application/xml"})
    assert_problem(response, 406, "not-acceptable")


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer nonsense", "t2s_x", "Bearer t2s_\x00", "Bearer ü"],
)
def test_without_a_key_that_opens_the_door_there_is_a_challenge(shopper: Shopper, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in ("me", "generations", "usage"):
        response = Client().get(f"/api/v1/{path}", headers=headers)
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_revoked_and_an_expired_key_are_refused(shopper: Shopper) -> None:
    key, token, _ = make_key(shopper.team)
    key_revoke(key=key, actor="test")
    late = make_key(shopper.team, expires_at=timezone.now() - timedelta(seconds=1))[1]
    for refused in (token, late):
        response = ApiClient(refused).post("generate", ASK)
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")


def test_the_scheme_may_be_written_in_any_case(shopper: Shopper) -> None:
    token = shopper.api.headers["Authorization"].removeprefix("Bearer ")
    assert Client().get("/api/v1/me", headers={"Authorization": f"bEARER  {token} "}).status_code == 200


def test_a_crash_in_a_view_is_a_problem_that_tells_nothing(shopper: Shopper, caplog: pytest.LogCaptureFixture) -> None:
    Catalog.objects.update(content={"broken": "secret-of-the-row"})
    _view.cache_clear()
    document = assert_problem(shopper.api.get("databases/shop/schema"), 500, "internal-error")
    assert "secret-of-the-row" not in str(document)
    assert "KeyError" not in str(document)
    assert "A request failed unexpectedly" in caplog.text
    _view.cache_clear()


def test_a_crash_below_the_views_is_a_problem_too(shopper: Shopper) -> None:
    GenerationFactory(team=shopper.team, database=shopper.database)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE teams_apikey RENAME COLUMN digest TO gone")
    try:
        response = shopper.api.get("me")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE teams_apikey RENAME COLUMN gone TO digest")
    document = assert_problem(response, 500, "internal-error")
    assert "digest" not in str(document)


def test_a_host_that_is_not_ours_is_a_problem(shopper: Shopper) -> None:
    response = shopper.api.client.get("/api/v1/me", headers={**shopper.api.headers, "Host": "evil.example.com"})
    assert_problem(response, 400, "bad-request")


def test_a_question_too_long_is_said_with_its_field(shopper: Shopper) -> None:
    document = assert_problem(shopper.api.post("generate", {**ASK, "question": "x" * 100_000}), 400, "invalid-request")
    assert document["errors"][0]["field"] == "question"
    assert "2000" in document["errors"][0]["message"]


def test_every_type_of_problem_has_a_title_and_an_error_status() -> None:
    for kind, problem in PROBLEMS.items():
        assert kind == kind.lower()
        assert problem.title
        assert 400 <= problem.status < 600
