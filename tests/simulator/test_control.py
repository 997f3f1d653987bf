import json

import pytest

from headworks.exchange import Request
from headworks.simulator.control import control
from headworks.simulator.plan import Rule


def ask(desk, method, path, body=None, *, status=200):
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    script = control(desk.simulator, Request(method, path, "", {}, data))
    answer = b"".join(beat.data for beat in script.beats)
    assert script.status == status, answer
    return json.loads(answer)


def test_the_plan_is_shown_and_reads_back(desk):
    shown = ask(desk, "GET", "/simulator/plan")
    assert shown["models"]["gpt-6-luna"]["tier"] == "nano"
    before = desk.simulator.plan
    assert ask(desk, "PUT", "/simulator/plan", shown) == shown
    assert desk.simulator.plan == before


def test_a_put_replaces_the_plan_and_a_delete_brings_the_first_one_back(desk):
    ask(desk, "PUT", "/simulator/plan", {"pace": 0, "rules": [{"say": "scripted"}]})
    assert desk.chat()["choices"][0]["message"]["content"] == "scripted"
    ask(desk, "DELETE", "/simulator/plan")
    assert desk.chat()["choices"][0]["message"]["content"].startswith("You said")


def test_a_patch_changes_some_fields_and_keeps_the_others(desk_with):
    desk = desk_with(rules=(Rule(say="scripted"),))
    ask(desk, "PATCH", "/simulator/plan", {"models": {"gpt-6-luna": {"limits": {"rpm": 1}}, "gpt-image-1": None}})
    assert desk.chat()["choices"][0]["message"]["content"] == "scripted"
    desk.chat(status=429)
    assert "gpt-image-1" not in desk.simulator.plan.models
    ask(desk, "PATCH", "/simulator/plan", {"seed": 3})
    assert "gpt-image-1" not in desk.simulator.plan.models
    assert desk.simulator.plan.models["gpt-6-luna"].limits.rpm == 1


def test_a_fault_is_added_and_a_reset_clears_it(desk):
    first = desk.respond()
    added = ask(desk, "POST", "/simulator/faults", {"kind": "error", "status": 503, "count": 5})
    assert [fault["kind"] for fault in added["faults"]] == ["error"]
    desk.chat(status=503)
    ask(desk, "POST", "/simulator/reset")
    assert desk.respond()["id"] == first["id"]  # as at the start, ids too
    assert len(desk.simulator.requests) == 1


def test_a_reset_forgets_responses_and_limits_and_the_cache(desk):
    stored = desk.respond("lighthouse keeper " * 800)
    ask(desk, "PATCH", "/simulator/plan", {"models": {"gpt-6-luna": {"limits": {"rpm": 1}}}})
    desk.chat()
    ask(desk, "POST", "/simulator/reset")
    desk.json("GET", f"/v1/responses/{stored['id']}", status=404)
    assert desk.respond("lighthouse keeper " * 800)["usage"]["input_tokens_details"]["cached_tokens"] == 0
    desk.chat()


def test_requests_are_remembered_with_their_bodies_and_without_their_keys(desk):
    desk.chat("Remember me")
    desk.ask("POST", "/v1/chat/completions", b"not json")
    desk.ask("POST", "/v1/chat/completions", b"\xff\x00")
    first, second, third = ask(desk, "GET", "/simulator/requests")["requests"]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/chat/completions", 200)
    assert first["body"]["messages"][0]["content"] == "Remember me"
    assert first["headers"]["authorization"] == "Bearer ***7890"
    assert (second["status"], second["body"]) == (400, "not json")
    assert third["body_base64"] == "/wA="


def test_only_so_many_requests_are_remembered(desk_with):
    desk = desk_with(remembered_requests=3)
    for number in range(5):
        desk.json("GET", f"/v1/models?number={number}")
    assert [request.query for request in desk.simulator.requests] == ["number=2", "number=3", "number=4"]
    assert desk_with(remembered_requests=0).simulator.requests == ()


def test_a_large_body_is_remembered_in_part(desk):
    desk.chat("x" * 3_000_000)
    (request,) = desk.simulator.requests
    assert len(request.body) == 1024 * 1024 < 3_000_000 < request.body_bytes


def test_remembered_bodies_are_bounded_in_all(desk):
    for _ in range(40):
        desk.ask("POST", "/v1/moderations", b"x" * 1024 * 1024)
    assert len(desk.simulator.requests) == 32


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/simulator/none", None, 404, "Invalid URL"),
        ("POST", "/simulator/plan", {}, 405, "Invalid method"),
        (
            "PUT",
            "/simulator/plan",
            b'{"seed": 1,\n "pace" 2}',
            400,
            "not JSON: Expecting ':' delimiter at line 2, column 9",
        ),
        ("PUT", "/simulator/plan", b'"\xff"', 400, "not JSON: it is not UTF-8"),
        ("PUT", "/simulator/plan", b'{"seed": 1,\n "colour": 2}', 400, "line 2, column 2: `colour`: there is no such"),
        (
            "POST",
            "/simulator/faults",
            b'{\n"kind":\n"gremlin"}',
            400,
            "line 3, column 1: `kind`: there is no 'gremlin'",
        ),
        ("PUT", "/simulator/plan", {"pace": -1}, 400, "`pace`"),
        ("PUT", "/simulator/plan", {"colour": 1}, 400, "colour"),
        ("PUT", "/simulator/plan", {"rules": [{"cases_file": "/etc/passwd"}]}, 400, "plan file only"),
        ("PUT", "/simulator/plan", {"rules": [{"say": "x", "when": {"matches": "("}}]}, 400, "regular expression"),
        ("PATCH", "/simulator/plan", [], 400, "mapping"),
        ("POST", "/simulator/faults", {"kind": "gremlin"}, 400, "gremlin"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(desk, method, path, body, status, told):
    before = desk.simulator.plan
    assert told in ask(desk, method, path, body, status=status)["error"]["message"]
    assert desk.simulator.plan == before
