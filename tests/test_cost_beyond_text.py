"""What calls cost that use more than tokens of text: exact where the provider says what was used, unknown where not."""

import json

import msgspec
import pytest

from headworks.calls import Extras
from headworks.catalogue import Period, Prices, Rates, TargetPrice
from played_work import EVENTS, chat_answer

RATES = Rates(
    input=100, cached_input=10, cache_write=125, cache_write_long=200, output=500, audio_input=3_000, cached_audio=30,
    audio_output=6_000, image_input=800, image_output=3_200, web_search=10**10, file_search=25 * 10**8,
    audio_hour=36 * 10**10, character=15_000_000,
)  # fmt: skip
PRICE = TargetPrice(Prices(periods=(Period(rates=RATES),)), "table-1")
FORM = (
    b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nnano\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
)
IS_FORM = {"content_type": "multipart/form-data; boundary=b"}


@pytest.fixture
def priced(hall):
    hall.price = PRICE
    hall.make()
    return hall


def cost_of(hall):
    return hall.settled.cost_pico, hall.settled.extras


def streamed(hall, *events):
    hall.flight.sink.on_head(200, EVENTS)
    for event in events:
        kind = f"event: {event['type']}\n".encode() if "type" in event else b""
        hall.flight.sink.on_body(kind + b"data: " + json.dumps(event).encode() + b"\n\n")
    hall.turn()


CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 30},
    "completion_tokens_details": {"audio_tokens": 45, "reasoning_tokens": 0},
}
CHAT_COST = 50 * 100 + 20 * 10 + 30 * 3_000 + 5 * 500 + 45 * 6_000


def test_sound_in_a_chat_costs_what_sound_costs(priced):
    priced.chat()
    priced.answer(chat_answer("Hi.") | {"usage": CHAT_USAGE})
    assert cost_of(priced) == (CHAT_COST, Extras(audio_input_tokens=30, audio_output_tokens=45))


def test_the_same_of_a_stream(priced):
    priced.chat(stream=True)
    first = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi."}, "finish_reason": "stop"}]}
    streamed(priced, first, {"choices": [], "usage": CHAT_USAGE})
    priced.flight.sink.on_body(b"data: [DONE]\n\n")
    priced.turn()
    assert cost_of(priced) == (CHAT_COST, Extras(audio_input_tokens=30, audio_output_tokens=45))


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m",
    "output": [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": '"file_search_call"'}]},
    ],
    "usage": {
        "input_tokens": 2_000,
        "input_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 1_500,
            "cache_write_tokens_details": {"ttl_30m_tokens": 500, "ttl_12h_tokens": 1_000},
        },
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2_010,
    },
    "tool_usage": {"web_search": {"num_requests": 2}, "image_gen": {"input_tokens": 0, "output_tokens": 0}},
}
RESPONSE_COST = 500 * 100 + 500 * 125 + 1_000 * 200 + 10 * 500 + 2 * 10**10 + 25 * 10**8
RESPONSE_EXTRAS = Extras(long_cache_write_tokens=1_000, web_searches=2, file_searches=1)
ASKED = {"model": "nano", "input": "x", "tools": [{"type": "web_search"}]}


def test_searches_and_long_lived_writes_of_a_response_cost_what_they_cost(priced):
    priced.ask("/v1/responses", ASKED)
    priced.answer(RESPONSE)
    assert cost_of(priced) == (RESPONSE_COST, RESPONSE_EXTRAS)


def test_the_same_of_a_streamed_response(priced):
    priced.ask("/v1/responses", ASKED | {"stream": True})
    begun = RESPONSE | {"status": "in_progress", "output": [], "usage": None, "tool_usage": None}
    streamed(
        priced,
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.file_search_call.completed", "sequence_number": 1, "output_index": 0, "item_id": "fs_1"},
        {"type": "response.output_text.delta", "sequence_number": 2, "delta": "Hi.", "output_index": 1},
        {"type": "response.completed", "sequence_number": 3, "response": RESPONSE},
    )
    assert cost_of(priced) == (RESPONSE_COST, RESPONSE_EXTRAS)


def test_what_another_model_has_drawn_is_not_taken_for_free(priced):
    priced.ask("/v1/responses", ASKED)
    drawn = {"web_search": {"num_requests": 0}, "image_gen": {"input_tokens": 10, "output_tokens": 1_000}}
    priced.answer(RESPONSE | {"tool_usage": drawn})
    assert cost_of(priced)[0] == -1


@pytest.mark.parametrize("tools", [None, 5, {"web_search": 3}, {"web_search": {"num_requests": -1}}])
def test_what_others_call_tool_usage_breaks_nothing(priced, tools):
    priced.ask("/v1/responses", ASKED)
    priced.answer(RESPONSE | {"tool_usage": tools, "output": RESPONSE["output"][2:]})
    assert cost_of(priced)[0] == RESPONSE_COST - 2 * 10**10 - 25 * 10**8


def test_a_service_without_a_price_makes_the_cost_unknown(hall):
    rates = msgspec.structs.replace(RATES, file_search=None)
    hall.price = TargetPrice(Prices(periods=(Period(rates=rates),)), "table-1")
    hall.make()
    hall.ask("/v1/responses", ASKED)
    hall.answer(RESPONSE)
    assert cost_of(hall)[0] == -1


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 5,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 7,
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
    },
}
MESSAGE_COST = 5 * 100 + 100 * 125 + 200 * 200 + 7 * 500 + 3 * 10**10


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_an_hour_of_cache_and_searches_at_anthropic_cost_what_they_cost(priced, path):
    asked = {"model": "anthropic/claude-x", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
    priced.ask(path, asked)
    priced.answer(MESSAGE)
    assert cost_of(priced) == (MESSAGE_COST, Extras(long_cache_write_tokens=200, web_searches=3))


def test_an_hour_of_cache_at_aws_costs_what_it_costs(priced):
    asked = {"model": "aws/claude-at-aws", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
    priced.ask("/v1/chat/completions", asked)
    usage = {
        "inputTokens": 5,
        "cacheWriteInputTokens": 300,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 100}, {"ttl": "1h", "inputTokens": 200}],
        "outputTokens": 7,
        "totalTokens": 312,
    }
    message = {"message": {"role": "assistant", "content": [{"text": "Hello."}]}}
    priced.answer({"output": message, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}})
    assert cost_of(priced) == (MESSAGE_COST - 3 * 10**10, Extras(long_cache_write_tokens=200))


def test_images_and_sound_at_google_cost_what_they_cost(priced):
    priced.ask("/v1/chat/completions", {"model": "google/gemini-x", "messages": [{"role": "user", "content": "x"}]})
    usage = {
        "promptTokenCount": 500,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}, {"modality": "IMAGE", "tokenCount": 258},
                                {"modality": "AUDIO", "tokenCount": 200}],
        "cachedContentTokenCount": 100,
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}],
        "candidatesTokenCount": 1_300,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1_290}, {"modality": "TEXT", "tokenCount": 10}],
    }  # fmt: skip
    content = {"role": "model", "parts": [{"text": "Here."}]}
    priced.answer({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage})
    expected = 42 * 100 + 258 * 800 + 100 * 3_000 + 100 * 30 + 10 * 500 + 1_290 * 3_200
    assert cost_of(priced)[0] == expected


@pytest.mark.parametrize("told", [{"image_tokens": 1_000, "text_tokens": 20}, None])
def test_images_cost_what_their_tokens_cost(priced, told):
    priced.ask("/v1/images/generations", {"model": "nano", "prompt": "a dot"})
    usage = {
        "input_tokens": 30,
        "output_tokens": 1_020,
        "total_tokens": 1_050,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 20},
        "output_tokens_details": told,
    }
    priced.answer({"created": 1, "data": [{"b64_json": "AA=="}], "usage": usage})
    drawn = 1_000 * 3_200 + 20 * 500 if told else 1_020 * 3_200
    assert cost_of(priced)[0] == 10 * 100 + 20 * 800 + drawn
    assert priced.settled.output_tokens == 1_020


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        ({"text": "Hi.", "usage": {"type": "duration", "seconds": 90.2}}, 91 * 10**8),
        (
            {"text": "Hi.", "usage": {"type": "tokens", "input_tokens": 40, "output_tokens": 5, "total_tokens": 45,
                                      "input_token_details": {"audio_tokens": 30, "text_tokens": 10}}},
            10 * 100 + 30 * 3_000 + 5 * 500,
        ),
        ({"text": "Hi."}, -1),
        ({"text": "Hi.", "usage": {"type": "duration", "seconds": 1e300}}, -1),
        (b"Hi.", -1),
    ],
)  # fmt: skip
def test_a_transcript_costs_what_it_says_that_it_used_and_else_nobody_knows(priced, body, cost):
    priced.ask("/v1/audio/transcriptions", FORM, **IS_FORM)
    priced.answer(body)
    assert cost_of(priced)[0] == cost


def test_speech_costs_its_characters_where_it_is_paid_for_by_them(priced):
    priced.ask("/v1/audio/speech", {"model": "nano", "voice": "alloy", "input": "Grüß dich."})
    priced.answer(b"\x00\x01", content_type="audio/mpeg")
    assert cost_of(priced) == (10 * 15_000_000, Extras(characters=10))


def test_speech_that_is_paid_for_otherwise_has_no_known_cost(hall):
    hall.price = TargetPrice(Prices(periods=(Period(rates=Rates(input=1, output=2)),)), "table-1")
    hall.make()
    hall.ask("/v1/audio/speech", {"model": "nano", "voice": "alloy", "input": "Hello."})
    hall.answer(b"\x00\x01", content_type="audio/mpeg")
    assert cost_of(hall)[0] == -1


@pytest.mark.parametrize(
    ("path", "body", "answer", "cost"),
    [
        ("/v1/moderations", {"model": "nano", "input": "x"}, {"id": "m", "results": []}, 0),
        ("/v1/responses/input_tokens", {"model": "nano", "input": "x"}, {"input_tokens": 3}, 0),
        (
            "/v1/responses/compact",
            {"model": "nano", "input": "x"},
            {"id": "c", "output": [], "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}},
            7 * 100 + 2 * 500,
        ),
    ],
)
def test_what_has_no_tokens_of_its_own_is_free_and_a_compaction_is_not(priced, path, body, answer, cost):
    priced.ask(path, body)
    priced.answer(answer)
    assert cost_of(priced)[0] == cost


@pytest.mark.parametrize("size", [7, 100_000])
def test_a_streamed_image_costs_what_its_last_event_says(priced, size):
    answered = priced.ask("/v1/images/generations", {"model": "nano", "prompt": "a dot", "stream": True})
    usage = {"input_tokens": 30, "output_tokens": 1_020, "total_tokens": 1_050,
             "input_tokens_details": {"text_tokens": 10, "image_tokens": 20}}  # fmt: skip
    event = {"type": "image_generation.completed", "b64_json": "A" * 9_000, "usage": usage, "size": "1024x1024"}
    data = b"event: image_generation.completed\ndata: " + json.dumps(event).encode() + b"\n\n"
    priced.flight.sink.on_head(200, EVENTS)
    priced.turn()
    for start in range(0, len(data), size):
        priced.flight.sink.on_body(data[start : start + size])
    priced.turn()
    priced.flight.sink.on_end()
    priced.turn()
    assert answered.body == data
    assert cost_of(priced)[0] == 10 * 100 + 20 * 800 + 1_020 * 3_200


def test_of_several_streamed_images_nobody_knows_the_cost(priced):
    priced.ask("/v1/images/generations", {"model": "nano", "prompt": "a dot", "stream": True, "n": 2})
    streamed(priced, {"type": "image_generation.completed", "usage": {"input_tokens": 1, "output_tokens": 1}})
    priced.flight.sink.on_end()
    priced.turn()
    assert cost_of(priced)[0] == -1


@pytest.mark.parametrize(
    ("event", "cost"),
    [
        ({"type": "transcript.text.done", "text": "Hi.", "usage": {"type": "tokens", "input_tokens": 40,
          "output_tokens": 5, "total_tokens": 45, "input_token_details": {"audio_tokens": 30}}},
         10 * 100 + 30 * 3_000 + 5 * 500),
        ({"type": "transcript.text.done", "text": 'the "usage": {"input_tokens": 1}'}, -1),
    ],
)  # fmt: skip
def test_a_streamed_transcript_costs_what_its_last_event_says(priced, event, cost):
    form = FORM.replace(b"--b--", b'--b\r\ncontent-disposition: form-data; name="stream"\r\n\r\ntrue\r\n--b--')
    priced.ask("/v1/audio/transcriptions", form, **IS_FORM)
    streamed(priced, {"type": "transcript.text.delta", "delta": "Hi."}, event)
    priced.flight.sink.on_end()
    priced.turn()
    assert cost_of(priced)[0] == cost


def test_streamed_speech_costs_the_tokens_that_it_says(priced):
    priced.ask("/v1/audio/speech", {"model": "nano", "voice": "alloy", "input": "Hello.", "stream_format": "sse"})
    streamed(
        priced, {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 60, "total_tokens": 63}}
    )
    priced.flight.sink.on_end()
    priced.turn()
    assert cost_of(priced)[0] == 3 * 100 + 60 * 500


# -- code that runs in containers at the provider, whose time no answer tells ---------------------------------------

PYTHON_RUN = {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "container_id": "cntr_1"}
SHELL_RUN = [
    {"type": "shell_call", "id": "sh_1", "call_id": "c1", "status": "completed", "action": {"commands": ["ls"]}},
    {"type": "shell_call_output", "id": "sho_1", "call_id": "c1", "output": []},
]
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4"}]}
RAN = {"id": "resp_1", "object": "response", "status": "completed", "model": "m"}
USED = {"usage": {"input_tokens": 100, "output_tokens": 10}}


@pytest.mark.parametrize(("items", "runs"), [([PYTHON_RUN, PYTHON_RUN], 2), (SHELL_RUN, 1)])
def test_code_that_ran_in_a_container_makes_the_cost_unknown_and_is_counted(priced, items, runs):
    priced.ask("/v1/responses", ASKED)
    priced.answer(RAN | USED | {"output": [*items, SAID]})
    assert cost_of(priced) == (-1, Extras(container_runs=runs))


def test_a_shell_that_the_caller_runs_is_in_no_container(priced):
    priced.ask("/v1/responses", ASKED)
    priced.answer(RAN | USED | {"output": [SHELL_RUN[0]]})
    assert cost_of(priced) == (100 * 100 + 10 * 500, None)


@pytest.mark.parametrize(
    "event", ["response.code_interpreter_call.completed", "response.shell_call_output_content.done"]
)
def test_the_same_of_a_streamed_run(priced, event):
    priced.ask("/v1/responses", ASKED | {"stream": True})
    done = {"type": "response.completed", "response": RAN | USED}
    streamed(priced, {"type": event, "item_id": "i"}, {"type": "response.output_text.delta", "delta": "4"}, done)
    assert cost_of(priced) == (-1, Extras(container_runs=1))


def test_what_an_installation_reckons_for_a_run_is_charged(hall):
    prices = Prices(periods=(Period(rates=RATES),)).with_rate("container_run", 7 * 10**9)
    hall.price = TargetPrice(prices, "table-1")
    hall.make()
    hall.ask("/v1/responses", ASKED)
    hall.answer(RAN | USED | {"output": [PYTHON_RUN, SAID]})
    assert cost_of(hall) == (100 * 100 + 10 * 500 + 7 * 10**9, Extras(container_runs=1))


def test_code_that_claude_has_executed_is_counted_too(priced):
    priced.ask("/v1/messages", {"model": "anthropic/claude-x", "max_tokens": 9, "messages": []})
    used = MESSAGE["usage"] | {"server_tool_use": {"code_execution_requests": 3}}
    priced.answer(MESSAGE | {"usage": used})
    assert cost_of(priced) == (-1, Extras(long_cache_write_tokens=200, container_runs=3))
