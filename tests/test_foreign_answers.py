"""What other servers than OpenAI's answer, as the caller and the record see it."""

import json

import pytest

from played_work import team


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        (429, 429, "upstream_rate_limited"),
        (502, 502, "upstream_error"),
        (503, 503, "upstream_overloaded"),
        (402, 429, "upstream_quota_exhausted"),
        (400, 400, "upstream_rejected"),
    ],
)
def test_an_error_in_a_body_of_200_is_answered_as_that_error(hall, code, status, outcome):
    answered = hall.chat()
    hall.answer({"error": {"code": code, "message": "secret words", "metadata": {}}, "user_id": "u"})

    assert (answered.status, answered.error["code"]) == (status, outcome)
    assert "secret words" not in json.dumps(answered.error)
    assert hall.settled.outcome == "failed"


def test_a_fallback_is_asked_after_an_error_in_a_body_of_200(work):
    work.make("fallback: [large]\n")
    answered = work.chat()
    work.answer({"error": {"code": 502, "message": "Provider returned error"}})
    work.answer(team("red"))

    assert [flight.body["model"] for flight in work.hall.upstream.flights] == ["small", "large"]
    assert (answered.status, answered.headers["x-headworks-fallback"]) == (200, "upstream_error")


@pytest.mark.parametrize("name", ["apim_request_id", "x_ms_request_id", "x_generation_id"])
def test_the_id_that_a_cloud_gives_an_answer_is_recorded(hall, name):
    answered = hall.chat()
    hall.answer(**{name: "id-7"})

    assert answered.headers["x-request-id"] == "id-7"
    assert hall.settled.upstream_request_id == "id-7"
