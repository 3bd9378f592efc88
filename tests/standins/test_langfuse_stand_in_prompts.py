"""The stand-in's prompts, read by the unmodified SDK."""

from collections.abc import Iterator

import httpx
import pytest
from langfuse.api import NotFoundError

from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import client_of

CHAT = [{"role": "system", "content": "Answer in SQL."}]


@pytest.fixture
def lf() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn() as stand_in:
        yield stand_in


def get(lf: LangfuseStandIn, name: str, **query: str | int) -> httpx.Response:
    keys = (lf.public_key, lf.secret_key)
    return httpx.get(f"{lf.base_url}/api/public/v2/prompts/{name}", params=query, auth=keys)


def test_a_label_is_on_one_version_and_production_is_the_default(lf: LangfuseStandIn) -> None:
    assert lf.put_prompt("rules", "One.", ["production"]) == 1
    assert lf.put_prompt("rules", "Two.", ["staging"]) == 2
    api = client_of(lf)
    assert api.prompts.get("rules").version == 1
    assert api.prompts.get("rules", label="latest").prompt == api.prompts.get("rules", version=2).prompt == "Two."
    lf.label_prompt("rules", "production", 2)
    now = api.prompts.get("rules", label="production")
    assert (now.version, now.type, sorted(now.labels)) == (2, "text", ["latest", "production", "staging"])
    assert api.prompts.get("rules", version=1).labels == []


def test_a_name_in_a_folder_and_a_chat_are_found(lf: LangfuseStandIn) -> None:
    lf.put_prompt("sql/rules", CHAT, ["production"])
    found = client_of(lf).prompts.get("sql%2Frules")
    assert (found.name, found.type) == ("sql/rules", "chat")


def test_what_is_not_there_is_404_and_says_what_was_asked_for(lf: LangfuseStandIn) -> None:
    lf.put_prompt("rules", "One.", [])
    with pytest.raises(NotFoundError) as unlabelled:
        client_of(lf).prompts.get("rules")
    assert unlabelled.value.body["message"] == "Prompt not found: 'rules' with label 'production'"
    assert get(lf, "rules", version=2).json()["message"] == "Prompt not found: 'rules' with version 2"
    assert get(lf, "rules", version="two").status_code == 400
    assert httpx.get(f"{lf.base_url}/api/public/v2/prompts/rules").status_code == 401
