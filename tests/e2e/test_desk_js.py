"""The support desk's workloads, called by the official JavaScript SDK, unchanged (`js/desk.mjs`)."""

import json
from typing import Any

import pytest
from e2e_desk import DESK, Desk, Fit, cases
from e2e_processes import JavaScript

NAME = "ticket-triage"
CASE = cases(NAME)[0]


@pytest.fixture(scope="module")
def seen(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    gateway = desk.start()
    return JavaScript(tmp_path_factory.mktemp("js")).run(
        "desk.mjs",
        gateway,
        NAME,
        BOSS_KEY=gateway.new_key("boss", endpoints=("approvals",)),
        VARIABLES=json.dumps(CASE["variables"]),
        SCHEMA=(DESK / "workloads" / NAME / "schema.json").read_text(),
    )


@pytest.mark.parametrize("part", ["response", "completion", "deltas", "streamed", "chatDeltas", "chatStreamed"])
def test_the_answer_is_the_same_and_fit_in_both_dialects_whole_and_streamed(seen: dict[str, Any], part: str) -> None:
    assert Fit(NAME).check(seen[part], CASE["variables"]) == CASE["expected"]


def test_a_stream_has_its_events_in_order_and_an_answer_its_headers(seen: dict[str, Any]) -> None:
    assert seen["kinds"][:2] == ["response.created", "response.in_progress"]
    assert seen["kinds"][-1] == "response.completed"
    headers = seen["headers"]
    assert (headers["x-headworks-workload"], headers["x-headworks-prompt-version"]) == (NAME, "1.0.0")
    assert headers["x-headworks-verdict"] in ("valid", "repaired")


@pytest.mark.parametrize("part", ["parsed", "chatParsed"])
def test_parse_with_the_contracts_own_schema_gives_an_object(seen: dict[str, Any], part: str) -> None:
    """The SDK names the schema as its caller likes, which is not as the gateway does."""
    assert seen[part] == CASE["expected"]


@pytest.mark.parametrize(
    ("part", "name", "status", "code", "param"),
    [
        ("otherForm", "BadRequestError", 400, "parameter_fixed", "text"),
        ("missing", "BadRequestError", 400, "missing_prompt_variable", "prompt.variables.ticket"),
        ("chatMissing", "BadRequestError", 400, "missing_prompt_variable", "prompt.variables.ticket"),
        ("streamedMissing", "BadRequestError", 400, "missing_prompt_variable", "prompt.variables.ticket"),
        ("version", "NotFoundError", 404, "prompt_version_not_found", "prompt.version"),
        ("fixed", "BadRequestError", 400, "parameter_fixed", "temperature"),
        ("embedding", "BadRequestError", 400, "endpoint_not_supported", "model"),
        ("mayNotDecide", "PermissionDeniedError", 403, "endpoint_not_allowed", None),
        ("heldStream", "PermissionDeniedError", 403, "action_held", None),
        ("heldChat", "PermissionDeniedError", 403, "action_held", None),
    ],
)
def test_what_is_wrong_is_the_sdks_own_error(
    seen: dict[str, Any], part: str, name: str, status: int, code: str, param: str | None
) -> None:
    error = seen[part]

    assert (error["name"], error["status"], error["code"]) == (name, status, code)
    assert error["param"] == param or str(error["param"]).startswith(f"{param}.")  # the whole, or the part of it


def test_a_refund_waits_until_it_is_approved(seen: dict[str, Any]) -> None:
    assert seen["held"] == {"status": "queued", "output": [], "polled": "queued"}
    assert seen["decided"] == "approved"
    assert (seen["approved"]["status"], seen["approved"]["tool"]) == ("completed", "refund_order")
    assert seen["approved"]["arguments"]["order"] == "SD-104233"
