"""A gateway as it is seen from outside, and what may stand where it should be."""

import asyncio

import pytest
from played_servers import answer, by_about, elsewhere, serving, situation

from headworks.doctoring import Target, gateway, target_of

OURS = {"x-headworks-call-id": "call_1"}
MODELS = answer(200, b"{}", **OURS)


def look(answers, **given):
    async def run():
        async with serving(answers) as server:
            (check,) = gateway.checks(elsewhere(server, **given))
            return by_about(await check.look()), server.asked

    return asyncio.run(run())


def test_a_good_gateway_is_asked_with_the_key_and_nothing_that_costs():
    answers = {
        "GET /v1/models": MODELS,
        "GET /health/ready": answer(200, b'{"status":"ready"}', **OURS),
        "POST /v1/chat/completions": answer(400, b"{}", **OURS),
    }
    found, asked = look(answers)

    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert "authorization: bearer hw-1" in asked[0][1].lower()
    (body,) = [body for line, _, body in asked if line.startswith("POST")]
    assert body.strip(b"{} ") == b""
    assert len(body) > 2 << 20


@pytest.mark.parametrize(
    ("said", "verdict", "words"),
    [
        (answer(502, server="nginx"), "problem", "502, and not by Headworks, through nginx"),
        (answer(404, b"<html>"), "problem", "404"),
        (answer(200, b"{}", content_type="application/json", via="1.1 edge"), "warning", "without the header"),
        (None, "problem", "closed the connection"),
    ],
)
def test_what_answers_in_its_place_is_known_by_the_missing_header(said, verdict, words):
    found, _ = look({"GET /v1/models": said})
    assert found["answers"].verdict == verdict
    assert words in found["answers"].says


def test_a_proxy_cannot_steer_the_terminal_with_its_name():
    found, _ = look({"GET /v1/models": answer(502, server="a\x1b[31mb")})
    assert "\x1b" not in found["answers"].says


@pytest.mark.parametrize(
    ("status", "key", "verdict"), [(401, True, "problem"), (403, True, "problem"), (401, False, "skipped")]
)
def test_a_refused_key_is_a_problem_and_a_missing_one_is_not(status, key, verdict):
    given = {} if key else {"key": None}
    found, _ = look({"GET /v1/models": answer(status, **OURS)}, **given)
    assert found["key"].verdict == verdict
    assert found["bodies"].verdict == "skipped"


def test_an_open_gateway_is_no_problem_on_a_private_address():
    found, _ = look({"GET /v1/models": MODELS}, key=None)
    assert found["key"].verdict == "ok"


def test_an_open_gateway_and_shown_metrics_are_findings_on_a_public_address(monkeypatch):
    async def public(_):
        return False

    monkeypatch.setattr(gateway, "_is_private", public)
    found, _ = look({"GET /v1/models": MODELS, "GET /metrics": answer(200, b"headworks_calls 1")}, key=None)
    assert (found["key"].verdict, found["metrics"].verdict) == ("problem", "warning")


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("8.8.8.8", False), ("no-such-host.invalid", False)]
)
def test_private_is_what_the_internet_does_not_reach(host, expected):
    assert asyncio.run(gateway._is_private(host)) is expected


def test_a_gateway_that_is_not_ready_is_a_problem_and_one_whose_health_is_hidden_is_not():
    found, _ = look({"GET /v1/models": MODELS, "GET /health/ready": answer(503, b"{}", **OURS)})
    assert found["ready"].verdict == "problem"
    found, _ = look({"GET /v1/models": MODELS})
    assert found["ready"].verdict == "skipped"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(413, **OURS), "by the gateway"),
        (answer(413), "by what stands in front"),
        (None, "by what stands in front"),
    ],
)
def test_a_large_request_that_is_refused_says_by_whom(said, words):
    found, _ = look({"GET /v1/models": MODELS, "POST /v1/chat/completions": said})
    assert found["bodies"].verdict == "problem"
    assert words in found["bodies"].says


def test_the_gateway_of_the_project_that_does_not_run_is_told_to_be_started():
    async def run():
        async with serving({}) as server:
            target = Target.from_url(server.url)
        (check,) = gateway.checks(situation(target=target))
        return await check.look()

    (finding,) = asyncio.run(run())
    assert finding.verdict == "problem"
    assert "headworks serve" in finding.way_out


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("{}", "http://127.0.0.1:4000"),
        ("{host: 0.0.0.0, port: 81}", "http://127.0.0.1:81"),
        ('{host: "::", port: 81}', "http://[::1]:81"),
        ("{port: 0}", None),
        ("{tls: {certificate: c, key: k}}", None),
    ],
)
def test_the_projects_gateway_is_found_where_its_address_can_be_known(project_of, server, shown):
    target = target_of(project_of(f"server: {server}\nproviders: {{sim: {{kind: simulator}}}}\n"))
    assert (target and target.shown) == shown


def test_where_no_address_is_known_one_is_asked_for():
    (check,) = gateway.checks(situation())
    assert "--url" in asyncio.run(check.look())[0].way_out


@pytest.mark.parametrize(
    ("url", "prefix"),
    [("https://a", ""), ("https://a/v1", ""), ("https://a/llm/v1/", "/llm"), ("http://a:81/llm/", "/llm")],
)
def test_a_url_is_taken_as_clients_have_it(url, prefix):
    assert Target.from_url(url).prefix == prefix


@pytest.mark.parametrize(
    "url", ["", "a", "ftp://a", "http://", "http://a:x", "http://u:p@a", "http://a?b", "http://a/ b"]
)
def test_what_is_no_url_of_a_gateway_is_refused(url):
    with pytest.raises(ValueError, match=r"expected|[Pp]ort"):
        Target.from_url(url)
