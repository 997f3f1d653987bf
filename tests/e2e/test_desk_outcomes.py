"""Outcomes, reported by the official client of calls that it has made, and what the command line makes of them."""

import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from e2e_desk import Desk, asked, call_id_of, cases, prompt_of

NAME = "ticket-triage"
CASES = cases(NAME)


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[openai.OpenAI]:
    """Of a gateway whose prompt is published, as 1.0.0."""
    desk.command("prompts", "publish", NAME)
    desk.start()
    with desk.client() as made:
        yield made


def made_calls(client: openai.OpenAI, count: int) -> list[str]:
    raws = [client.responses.with_raw_response.create(prompt=prompt_of(NAME, case)) for case in CASES[:count]]  # type: ignore[call-overload]
    return [call_id_of(raw) for raw in raws]


def report(client: openai.OpenAI, **fields: Any) -> list[dict[str, Any]]:
    """What is answered to one report, or to several."""
    answer = client.post("/outcomes", cast_to=dict[str, Any], body=fields)
    assert answer["object"] == "list"
    data: list[dict[str, Any]] = answer["data"]
    return data


def listed(desk: Desk, name: str) -> list[dict[str, Any]]:
    return desk.told("outcomes", "list", "--name", name)


def test_a_call_is_reported_on_by_its_id_its_trace_and_the_applications_own_key(
    desk: Desk, client: openai.OpenAI
) -> None:
    case = CASES[0]
    by_id = call_id_of(client.chat.completions.with_raw_response.create(**asked(NAME, case)))
    traced = [
        call_id_of(
            client.chat.completions.with_raw_response.create(**asked(NAME, case), metadata={"trace_id": "run-7"})
        )
        for _ in range(2)
    ]
    keyed = client.responses.with_raw_response.create(
        prompt=prompt_of(NAME, case),  # type: ignore[arg-type]
        metadata={"headworks_key": "order-17"},
    )
    other = client.responses.with_raw_response.create(
        prompt=prompt_of(NAME, case),  # type: ignore[arg-type]
        extra_headers={"idempotency-key": "order-18"},
    )

    (told,) = report(client, call_id=by_id, name="sent", value=True)
    report(client, trace_id="run-7", name="sent", value=False)
    report(client, caller_key="order-17", name="sent", value=True)
    report(client, caller_key="order-18", name="sent", value=True, source="user")

    assert (told["object"], told["name"]) == ("outcome", "sent")
    found = {one["call_id"] or one["trace_id"] or one["caller_key"]: one for one in listed(desk, "sent")}
    assert {name: (one["calls"], one["value"], one["state"]) for name, one in found.items()} == {
        by_id: (1, True, "matched"),
        "run-7": (2, False, "matched"),
        "order-17": (1, True, "matched"),
        "order-18": (1, True, "matched"),
    }
    assert found[by_id]["outcome_id"] == told["id"]
    for call_id, value in ((by_id, True), (traced[0], False), (traced[1], False), (call_id_of(keyed), True)):
        (shown,) = desk.told("calls", "show", call_id)
        assert [(one["name"], one["value"]) for one in shown["outcomes"]] == [("sent", value)]
    (shown,) = desk.told("calls", "show", call_id_of(other))
    assert [one["source"] for one in shown["outcomes"]] == ["user"]


def test_a_report_may_come_before_its_call_and_long_after(desk: Desk, client: openai.OpenAI) -> None:
    report(client, caller_key="early-1", name="timely", value=3)
    (early,) = listed(desk, "timely")
    assert (early["calls"], early["state"]) == (0, "waiting")

    client.responses.create(
        prompt=prompt_of(NAME, CASES[0]),  # type: ignore[arg-type]
        metadata={"headworks_key": "early-1"},
    )
    (late,) = made_calls(client, 1)
    desk.running.record(late)  # it is in the store
    report(client, call_id=late, name="timely", value=5)

    assert [(one["value"], one["calls"]) for one in listed(desk, "timely")] == [(5.0, 1), (3.0, 1)]


def test_what_is_said_again_replaces_what_was_said(desk: Desk, client: openai.OpenAI) -> None:
    (call,) = made_calls(client, 1)
    for value in ("good", "good", "bad"):
        report(client, call_id=call, name="opinion", value=value)

    (shown,) = desk.told("calls", "show", call)
    assert [(one["name"], one["value"]) for one in shown["outcomes"]] == [("opinion", "bad")]
    (rate,) = desk.told("outcomes", "rates", "--name", "opinion")
    assert (rate["label"], rate["reports"]) == ("bad", 1)


def test_a_report_on_a_call_that_is_not_known_is_taken_and_waits(desk: Desk, client: openai.OpenAI) -> None:
    report(client, call_id="call_" + "0" * 27, name="unknown", value=True)

    (one,) = listed(desk, "unknown")
    assert (one["calls"], one["state"]) == (0, "waiting")
    assert desk.told("outcomes", "rates", "--name", "unknown") == []


def test_a_key_reports_on_its_own_calls_only(desk: Desk, client: openai.OpenAI) -> None:
    (call,) = made_calls(client, 1)
    with desk.client(desk.running.new_key("stranger")) as stranger:
        report(stranger, call_id=call, name="foreign", value=True)

    assert [one["calls"] for one in listed(desk, "foreign")] == [0]
    (shown,) = desk.told("calls", "show", call)
    assert shown["outcomes"] == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"call_id": "resp_0123", "name": "ok", "value": True}, "call_id"),
        ({"call_id": "call_TOLV3K0CWvTbZ3Q9b8cRBlrz", "name": "ok", "value": True}, "call_id"),
        ({"trace_id": "t", "name": "Not a name", "value": True}, "name"),
        ({"trace_id": "t", "name": "ok"}, "value"),
        ({"trace_id": "t", "name": "ok", "value": "yes", "kind": "number"}, "value"),
        (
            {"outcomes": [{"trace_id": "t", "name": "ok", "value": 1}, {"trace_id": "t", "name": "ok"}]},
            "outcomes[1].value",
        ),
    ],
)
def test_a_report_that_cannot_be_read_is_the_sdks_own_error_and_nothing_of_it_is_taken(
    desk: Desk, client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        report(client, **fields)

    assert (refused.value.code, refused.value.param) == ("invalid_outcome", param)


def wilson(successes: int, total: int) -> tuple[float, float]:
    """As it stands in the literature, written down a second time."""
    z, share = 1.96, successes / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt((share * (1 - share) + z * z / (4 * total)) / total)
    return (middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)


def test_rates_by_prompt_version_have_their_intervals(desk: Desk, client: openai.OpenAI) -> None:
    old = made_calls(client, 20)
    desk.edit("workloads/ticket-triage/prompt.md", "twelve words", "ten words")
    desk.command("prompts", "bump", NAME)
    desk.command("prompts", "publish", NAME)
    desk.reload()
    new = [
        call_id_of(
            client.responses.with_raw_response.create(
                prompt={"id": NAME, "variables": case["variables"]}  # type: ignore[arg-type]
            )
        )
        for case in CASES[:30]
    ]
    many = [{"call_id": call, "name": "solved", "value": place < 15} for place, call in enumerate(old)]
    many += [{"call_id": call, "name": "solved", "value": place < 27} for place, call in enumerate(new)]
    many += [{"call_id": call, "name": "stars", "value": 1 + place % 5} for place, call in enumerate(new)]
    assert len(report(client, outcomes=many)) == 80

    shares = {one["prompt_version"]: one for one in desk.told("outcomes", "rates", "--name", "solved")}
    for version, solved, total in (("1.0.0", 15, 20), ("1.1.0", 27, 30)):
        one = shares[version]
        assert (one["workload"], one["measure"], one["reports"]) == (NAME, "share", total)
        assert one["value"] == solved / total
        assert (one["low"], one["high"]) == pytest.approx(wilson(solved, total))
    assert shares["1.1.0"]["calls"] == shares["1.1.0"]["answered"] == 30
    (mean,) = desk.told("outcomes", "rates", "--name", "stars")
    assert (mean["prompt_version"], mean["measure"], mean["value"]) == ("1.1.0", "mean", 3.0)
    spread = math.sqrt(sum((1 + place % 5 - 3) ** 2 for place in range(30)) / 29 / 30)
    assert (mean["low"], mean["high"]) == pytest.approx((3 - 1.96 * spread, 3 + 1.96 * spread))
