import json

import openai
import pytest
from openai.types.responses import Response, ResponseItemList


def events_of(script):
    lines = b"".join(beat.data for beat in script.beats).split(b"\n")
    return [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: ")]


def test_a_stored_response_is_retrieved_and_deleted(desk):
    made = desk.respond()
    path = f"/v1/responses/{made['id']}"
    assert desk.json("GET", path) == made
    assert desk.json("DELETE", path) == {"id": made["id"], "object": "response", "deleted": True}
    assert "not found" in desk.json("GET", path, status=404)["error"]["message"]
    desk.json("DELETE", path, status=404)


def test_a_response_that_is_not_stored_cannot_be_retrieved_or_continued(desk):
    made = desk.respond(store=False)
    assert made["store"] is False
    desk.json("GET", f"/v1/responses/{made['id']}", status=404)
    error = desk.respond("And?", previous_response_id=made["id"], status=400)["error"]
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


def test_only_so_many_responses_are_kept(desk_with):
    desk = desk_with(stored_responses=2)
    made = [desk.respond(f"Number {number}")["id"] for number in range(3)]
    desk.json("GET", f"/v1/responses/{made[0]}", status=404)
    for kept in made[1:]:
        desk.json("GET", f"/v1/responses/{kept}")


@pytest.mark.uncounted
def test_large_inputs_push_old_responses_out(desk):
    first = desk.respond("x" * 25_000_000, truncation="auto")
    second = desk.respond("y" * 25_000_000, truncation="auto")
    third = desk.respond("z" * 25_000_000, truncation="auto")
    desk.json("GET", f"/v1/responses/{first['id']}", status=404)
    for kept in (second, third):
        desk.json("DELETE", f"/v1/responses/{kept['id']}")


def test_a_stored_response_is_streamed_again_from_any_event_on(desk):
    script = desk.ask("POST", "/v1/responses", {"model": "gpt-6-luna", "input": "Hi", "stream": True})
    events = events_of(script)
    response_id = events[0]["response"]["id"]
    assert events_of(desk.ask("GET", f"/v1/responses/{response_id}?stream=true")) == events
    rest = events_of(desk.ask("GET", f"/v1/responses/{response_id}?stream=true&starting_after=7"))
    assert rest == events[8:]
    desk.json("GET", f"/v1/responses/{response_id}?stream=true&starting_after=x", status=400)


def test_the_sdk_retrieves_a_stream(desk):
    client = desk.client()
    made = client.responses.create(model="gpt-6-luna", input="Hi")
    events = list(client.responses.retrieve(made.id, stream=True, starting_after=3))
    assert events[0].sequence_number == 4
    assert events[-1].type == "response.completed"


def test_a_background_response_is_queued_then_runs_then_is_done(desk_with):
    desk = desk_with(pace=1)
    made = desk.respond(background=True)
    assert (made["status"], made["output"], made["usage"]) == ("queued", [], None)
    seen = [made["status"]]
    for _ in range(400):
        desk.clock.move(0.05)
        value = desk.json("GET", f"/v1/responses/{made['id']}")
        Response.model_validate(value, strict=True)
        if value["status"] != seen[-1]:
            seen.append(value["status"])
    assert seen == ["queued", "in_progress", "completed"]
    assert value["output"][0]["content"][0]["text"]
    assert value["completed_at"] >= value["created_at"]


def test_a_background_response_can_be_cancelled_until_it_is_done(desk_with):
    desk = desk_with(pace=1)
    made = desk.respond(background=True)
    path = f"/v1/responses/{made['id']}"
    assert desk.json("POST", f"{path}/cancel")["status"] == "cancelled"
    desk.clock.move(1000)
    assert desk.json("GET", path)["status"] == "cancelled"
    done = desk.respond(background=True)
    desk.clock.move(1000)
    assert desk.json("POST", f"/v1/responses/{done['id']}/cancel")["status"] == "completed"


def test_a_synchronous_response_cannot_be_cancelled(desk):
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        desk.client().responses.cancel(desk.respond()["id"])


def test_who_joins_a_background_stream_late_gets_the_past_at_once(desk_with):
    desk = desk_with(pace=1)
    body = {"model": "gpt-6-luna", "input": "Hi", "background": True, "stream": True}
    script = desk.ask("POST", "/v1/responses", body)
    beats = list(script.beats)
    total_s = script.head_delay_s + sum(beat.delay_s for beat in beats)
    names = [beat.data.split(b"\n")[0] for beat in beats[:3]]
    assert names == [b"event: response.created", b"event: response.queued", b"event: response.in_progress"]
    response_id = events_of(desk.ask("POST", "/v1/responses", body))[0]["response"]["id"]
    desk.clock.move(total_s / 2)
    late = list(desk.ask("GET", f"/v1/responses/{response_id}?stream=true").beats)
    assert sum(beat.delay_s for beat in late) == pytest.approx(total_s / 2)
    assert late[0].delay_s == 0
    assert len(late) == len(beats)


def test_background_needs_storage(desk):
    assert desk.respond(background=True, store=False, status=400)["error"]["param"] == "background"


def test_input_items_are_listed_page_by_page(desk):
    inputs = [{"role": "user", "content": f"Part {number}"} for number in range(5)]
    path = f"/v1/responses/{desk.respond(inputs)['id']}/input_items"
    newest = desk.json("GET", f"{path}?limit=2")
    ResponseItemList.model_validate(newest, strict=True)
    assert [item["content"][0]["text"] for item in newest["data"]] == ["Part 4", "Part 3"]
    assert newest["has_more"] is True
    assert newest["last_id"] == newest["data"][-1]["id"]
    following = desk.json("GET", f"{path}?limit=10&after={newest['last_id']}")
    assert [item["content"][0]["text"] for item in following["data"]] == ["Part 2", "Part 1", "Part 0"]
    assert following["has_more"] is False
    oldest = desk.json("GET", f"{path}?order=asc&limit=1")
    assert oldest["data"][0]["content"] == [{"type": "input_text", "text": "Part 0"}]
    for wrong in ("limit=0", "limit=101", "limit=x", "order=up", "after=msg_none"):
        desk.json("GET", f"{path}?{wrong}", status=400)


def test_input_items_include_the_history(desk):
    first = desk.respond("One")
    second = desk.respond("Two", previous_response_id=first["id"])
    listed = desk.json("GET", f"/v1/responses/{second['id']}/input_items?order=asc")["data"]
    assert [item["role"] for item in listed] == ["user", "assistant", "user"]
    assert listed[1]["id"] == first["output"][0]["id"]
    assert second["previous_response_id"] == first["id"]


def test_an_item_can_be_referred_to_by_its_id(desk):
    first = desk.respond("One")
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    desk.respond([reference, {"role": "user", "content": "Two"}])
    desk.respond([{"type": "item_reference", "id": "msg_none"}], status=404)
