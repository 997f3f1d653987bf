"""Prompts as code, from the command that publishes to what the official client is answered with."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from e2e_desk import Desk, asked, cases

NAME = "ticket-triage"
CASES = cases(NAME)
PROMPT = "workloads/ticket-triage/prompt.md"
CONTRACT = "workloads/ticket-triage/workload.yaml"


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[openai.OpenAI]:
    """Of a gateway whose prompt is published as 1.0.0 and 1.1.0, which is active."""
    desk.command("prompts", "publish", NAME)
    desk.start()
    desk.edit(PROMPT, "twelve words", "ten words")
    desk.command("prompts", "bump", NAME)
    desk.command("prompts", "publish", NAME)
    desk.reload()
    with desk.client() as made:
        yield made


@pytest.fixture(autouse=True)
def _restored(desk: Desk, client: openai.OpenAI) -> Iterator[None]:
    """Each test leaves the files as it found them."""
    files = {desk.folder / name: (desk.folder / name).read_text() for name in (PROMPT, CONTRACT)}
    yield
    for path, text in files.items():
        path.write_text(text)


def version_of(client: openai.OpenAI, version: str | None = None, **fields: Any) -> str:
    """Which version a call is answered with; it asks for none unless one is given."""
    prompt = {"id": NAME, "variables": CASES[0]["variables"]} | ({} if version is None else {"version": version})
    raw = client.responses.with_raw_response.create(prompt=prompt, **fields)  # type: ignore[call-overload]
    return str(raw.headers["x-headworks-prompt-version"])


def active(desk: Desk) -> str:
    (one,) = [one for one in desk.told("prompts", "list") if one["workload"] == NAME]
    return str(one["active"])


def test_calls_are_made_with_what_is_published_last_in_both_dialects(desk: Desk, client: openai.OpenAI) -> None:
    fields = {"model": NAME, "messages": [], "extra_body": {"prompt": {"variables": CASES[0]["variables"]}}}

    assert version_of(client) == active(desk) == "1.1.0"
    raw: Any = client.chat.completions.with_raw_response.create(**fields)  # type: ignore[call-overload]
    assert raw.headers["x-headworks-prompt-version"] == "1.1.0"


@pytest.mark.parametrize(
    ("version", "used"), [("1.0.0", "1.0.0"), ("1.0", "1.0.0"), ("1.1", "1.1.0"), ("1", "1.1.0"), ("1.1.0", "1.1.0")]
)
def test_a_caller_may_ask_for_a_version_that_was_published(client: openai.OpenAI, version: str, used: str) -> None:
    assert version_of(client, version) == used


def test_an_old_version_is_the_old_text(desk: Desk, client: openai.OpenAI) -> None:
    old = desk.command("prompts", "render", NAME, "--case", "ticket-01", "--version", "1.0.0").stdout
    new = desk.command("prompts", "render", NAME, "--case", "ticket-01").stdout
    raws: list[Any] = [
        client.responses.with_raw_response.create(
            prompt={"id": NAME, "version": version, "variables": CASES[0]["variables"]}  # type: ignore[arg-type]
        )
        for version in ("1.0.0", "1.1.0")
    ]
    hashes = [desk.running.record(raw.headers["x-headworks-call-id"]).prompt_hash for raw in raws]
    log = {entry["version"]: entry["hash"] for entry in desk.told("prompts", "log", NAME)}

    assert ("twelve words" in old, "ten words" in new, "ten words" in old) == (True, True, False)
    assert hashes == [log["1.0.0"], log["1.1.0"]]


def test_a_version_that_is_raised_too_little_is_refused_and_nothing_is_published(
    desk: Desk, client: openai.OpenAI
) -> None:
    desk.edit(PROMPT, "version: 1.1.0", "version: 1.1.1")
    desk.edit(PROMPT, "ten words", "nine words")

    said = desk.command("prompts", "publish", NAME, code=1).stderr
    assert "version 1.1.1 must be at least 1.2.0, a minor step" in said
    assert "is too low" in desk.command("prompts", "bump", NAME, "--level", "patch", code=1).stderr
    desk.reload()
    assert version_of(client) == active(desk) == "1.1.0"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ten words", "nine words", "version 1.1.0 must be at least 1.2.0, a minor step from 1.1.0"),
        ("You sort", "You{# for people #} sort", "version 1.1.0 must be at least 1.1.1, a patch step from 1.1.0"),
    ],
)
def test_the_same_version_with_other_bytes_is_refused(
    desk: Desk, client: openai.OpenAI, old: str, new: str, problem: str
) -> None:
    desk.edit(PROMPT, old, new)

    assert problem in desk.command("prompts", "publish", NAME, code=1).stderr
    assert "version 1.1.0 is published with other content" in desk.command("check", code=1).stderr
    desk.reload()
    assert version_of(client) == "1.1.0"
    assert new not in desk.command("prompts", "show", NAME, "--version", "1.1.0", "--source").stdout


def test_the_next_call_after_a_reload_sees_a_rollback(desk: Desk, client: openai.OpenAI) -> None:
    (told,) = desk.told("prompts", "rollback", NAME)
    assert (told["version"], told["was_active"]) == ("1.0.0", "1.1.0")
    assert version_of(client) == "1.1.0"

    desk.reload()
    assert version_of(client) == "1.0.0"
    assert version_of(client, "1.1.0") == "1.1.0"
    assert "has no version before it" in desk.command("prompts", "rollback", NAME, code=1).stderr

    desk.command("prompts", "rollback", NAME, "1.1.0")
    desk.reload()
    assert version_of(client) == "1.1.0"


def test_a_version_on_trial_takes_its_share_of_users_who_stay_with_it(desk: Desk, client: openai.OpenAI) -> None:
    contract = (desk.folder / CONTRACT).read_text()
    (desk.folder / CONTRACT).write_text(contract + "canary: { version: 1.0.0, share: 0.3 }\n")
    desk.reload()

    users = [f"user-{number}" for number in range(100)]
    first = {user: version_of(client, safety_identifier=user) for user in users}
    again = {user: version_of(client, user=user) for user in users[:20]}
    shares = Counter(first.values())

    assert again == {user: first[user] for user in again}
    assert set(shares) == {"1.0.0", "1.1.0"}
    assert 16 <= shares["1.0.0"] <= 44  # three standard deviations of a binomial with n = 100, p = 0.3
    assert version_of(client, "1.1.0", safety_identifier=next(u for u in users if first[u] == "1.0.0")) == "1.1.0"

    (desk.folder / CONTRACT).write_text(contract)
    desk.reload()
    assert {version_of(client, safety_identifier=user) for user in users[:20]} == {"1.1.0"}


def test_a_version_that_is_on_trial_and_not_published_is_refused_and_the_old_configuration_stays(
    desk: Desk, client: openai.OpenAI
) -> None:
    contract = (desk.folder / CONTRACT).read_text()
    (desk.folder / CONTRACT).write_text(contract + "canary: { version: 7.0.0, share: 1 }\n")
    assert "no published version 7.0.0" in desk.command("check", code=1).stderr
    desk.reload(says="the old configuration stays")

    assert version_of(client) == "1.1.0"


def test_asking_in_chat_for_a_version_and_for_none_at_all(client: openai.OpenAI) -> None:
    raw: Any = client.chat.completions.with_raw_response.create(**asked(NAME, CASES[0]))
    assert raw.headers["x-headworks-prompt-version"] == "1.0.0"
    with pytest.raises(openai.NotFoundError) as refused:
        version_of(client, "1.9")
    assert (refused.value.code, refused.value.param) == ("prompt_version_not_found", "prompt.version")
    assert "in use is 1.1.0" in refused.value.message
