"""What a project keeps at the provider; each key is a project of its own."""

import json

import pytest

ONE, TWO = {"authorization": "Bearer sk-one"}, {"authorization": "Bearer sk-two"}
FORM = (
    b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n%b\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n%b\r\n--b--\r\n'
)


def put(desk, content=b"x", purpose=b"user_data", **key):
    kind = {"content_type": "multipart/form-data; boundary=b"}
    script = desk.ask("POST", "/v1/files", FORM % (purpose, content), **kind, **(key or ONE))
    return json.loads(b"".join(beat.data for beat in script.beats))


def test_a_key_sees_nothing_of_another_keys_project(desk):
    file = put(desk)["id"]
    response = desk.json("POST", "/v1/responses", {"model": "gpt-6-luna", "input": "Hi"}, **ONE)["id"]
    part = {"model": "gpt-6-luna", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": file}]}]}

    desk.json("GET", f"/v1/files/{file}", **ONE)
    desk.json("GET", f"/v1/files/{file}", status=404, **TWO)
    desk.json("GET", f"/v1/responses/{response}", status=404, **TWO)
    desk.json("POST", "/v1/responses", part, status=404, **TWO)
    assert desk.json("GET", "/v1/files", **TWO)["data"] == []
    assert desk.json("GET", "/v1/files", openai_project="other", **ONE)["data"] == []


def test_a_batch_takes_its_time_and_has_its_lines_answered(desk):
    desk.simulator.replace_plan(type(desk.simulator.plan)(pace=1))
    good = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-6-luna", "input": "Hi"}}
    lines = [good, {**good, "custom_id": "b", "body": {"model": "no-such-model", "input": "Hi"}}]
    file = put(desk, "\n".join(map(json.dumps, lines)).encode(), b"batch")["id"]
    asked = {"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"}
    batch = desk.json("POST", "/v1/batches", asked, **ONE)["id"]
    assert desk.json("GET", f"/v1/batches/{batch}", **ONE)["status"] == "in_progress"
    desk.clock.move(6)
    done = desk.json("GET", f"/v1/batches/{batch}", **ONE)

    assert (done["status"], done["request_counts"]) == ("completed", {"total": 2, "completed": 1, "failed": 1})
    assert done["usage"]["output_tokens"] > 0
    (answer,) = desk.ask("GET", f"/v1/files/{done['output_file_id']}/content", **ONE).beats
    assert json.loads(answer.data)["response"]["status_code"] == 200
    assert desk.json("POST", f"/v1/batches/{batch}/cancel", status=400, **ONE)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/files/no", 404),
        ("PUT", "/v1/files", 405),
        ("GET", "/v1/files/no/what", 404),
        ("GET", "/v1/conversations/no/items/x", 404),
        ("GET", "/v1/vector_stores/no/files/x/content/y", 404),
        ("POST", "/v1/fine_tuning/jobs/no/cancel", 404),
        ("GET", "/v1/batches?after=no", 404),
        ("GET", "/v1/batches?limit=0", 400),
    ],
)
def test_what_is_not_there_is_refused_in_the_apis_way(desk, method, path, status):
    assert desk.ask(method, path, **ONE).status == status
