import pytest

from headworks.simulator.plan import Model

USER = [{"role": "user", "content": "Hi"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_request_without_a_key_is_refused(desk):
    error = desk.json("GET", "/v1/models", status=401, authorization="")["error"]
    assert error["type"] == "invalid_request_error"
    desk.json("GET", "/v1/models", status=401, authorization="Basic abc")
    desk.json("GET", "/v1/models", authorization="Bearer anything")


def test_only_planned_keys_are_accepted_if_there_are_any(desk_with):
    desk = desk_with(api_keys=("sk-good",))
    desk.json("GET", "/v1/models", authorization="Bearer sk-good")
    error = desk.json("GET", "/v1/models", status=401, authorization="Bearer sk-bad-1234567890")["error"]
    assert error["code"] == "invalid_api_key"
    assert "sk-bad-123" not in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/responses/resp_1", 405),
        ("GET", "/v1/responses/resp_1/nothing", 404),
        ("GET", "/v1/responses/", 404),
        ("GET", "/v1/models/gpt-none", 404),
        ("POST", "/v1/models", 405),
    ],
)
def test_unknown_paths_and_methods(desk, method, path, status):
    assert desk.json(method, path, {}, status=status)["error"]["type"] == "invalid_request_error"


def test_a_wrong_method_says_which_are_right(desk):
    assert desk.ask("PUT", "/v1/responses/resp_1").headers[b"allow"] == b"GET, DELETE"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[", b"nonsense"])
def test_invalid_json(desk, path, body):
    assert "could not parse the JSON body" in desk.json("POST", path, body, status=400)["error"]["message"]


BASES = {
    "chat/completions": {"model": "gpt-6-luna", "messages": USER},
    "responses": {"model": "gpt-6-luna", "input": "Hi"},
    "embeddings": {"model": "text-embedding-3-small", "input": "Hi"},
    "moderations": {"input": "Hi"},
    "images/generations": {"prompt": "Hi"},
    "audio/speech": {"model": "gpt-4o-mini-tts", "voice": "coral", "input": "Hi"},
}
LEFT_OUT = object()

CHAT_MISTAKES = [
    ({"model": LEFT_OUT}, None, None),
    ({"messages": LEFT_OUT}, "missing_required_parameter", "messages"),
    ({"messages": []}, "empty_array", "messages"),
    ({"model": 1}, "invalid_type", "model"),
    ({"messages": "Hi"}, "invalid_type", "messages"),
    ({"messages": [{}]}, "missing_required_parameter", "messages[0].role"),
    ({"messages": [{"role": "king"}]}, "invalid_value", "messages[0].role"),
    ({"n": 0}, "integer_below_min_value", "n"),
    ({"temperature": 3}, "decimal_above_max_value", "temperature"),
    ({"stop": ["a"] * 5}, "invalid_value", "stop"),
    ({"functions": []}, "unsupported_parameter", "functions"),
    ({"stream_options": {}}, "invalid_value", "stream_options"),
    ({"model": "text-embedding-3-small"}, "unsupported_model", "model"),
    ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "invalid_value", "messages.[0].role"),
    ({"messages": [*USER, {"role": "assistant", "tool_calls": [CALL]}]}, "invalid_value", "messages.[2].role"),
    ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
    ({"tool_choice": "maybe"}, "invalid_value", "tool_choice"),
    ({"tool_choice": {"type": "function"}}, "missing_required_parameter", "tool_choice.function.name"),
    ({"response_format": {"type": "json_schema"}}, "missing_required_parameter", "response_format.json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        "missing_required_parameter",
        "response_format.json_schema.schema",
    ),
    ({"response_format": {"type": "json_object"}}, "invalid_value", "messages"),
    ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].function"),
    ({"reasoning_effort": "huge"}, "invalid_value", "reasoning_effort"),
    ({"max_completion_tokens": 10**9}, "invalid_value", "max_completion_tokens"),
]

RESPONSES_MISTAKES = [
    ({"model": LEFT_OUT}, "missing_required_parameter", "model"),
    ({"input": LEFT_OUT}, "missing_required_parameter", "input"),
    ({"input": 3}, "invalid_type", "input"),
    ({"input": [{"content": "Hi"}]}, "missing_required_parameter", "input[0]"),
    ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
    ({"input": [{"role": "king", "content": "Hi"}]}, "invalid_value", "input[0].role"),
    ({"input": [{"role": "user", "content": 1}]}, "invalid_type", "input[0].content"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, None, "input"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, None, "input"),
    ({"max_output_tokens": 15}, "integer_below_min_value", "max_output_tokens"),
    ({"max_output_tokens": 10**9}, "invalid_value", "max_output_tokens"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "object_above_max_properties", "metadata"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_value", "tool_choice"),
    ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].name"),
    ({"text": {"format": {"type": "json_schema"}}}, "missing_required_parameter", "text.format.name"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "missing_required_parameter", "text.format.schema"),
    ({"reasoning": {"effort": 3}}, "invalid_type", "reasoning.effort"),
]

OTHER_MISTAKES = [
    ("embeddings", {"input": ""}, "invalid_value", "input"),
    ("embeddings", {"input": []}, "invalid_value", "input"),
    ("embeddings", {"input": ["x", 1]}, "invalid_value", "input"),
    ("embeddings", {"input": ["x"] * 2049}, "invalid_value", "input"),
    ("embeddings", {"dimensions": 5000}, "invalid_value", "dimensions"),
    ("embeddings", {"input": "word " * 9000}, "context_length_exceeded", "input"),
    ("embeddings", {"input": LEFT_OUT}, "missing_required_parameter", "input"),
    ("embeddings", {"model": LEFT_OUT}, None, None),
    ("moderations", {"input": []}, "invalid_value", "input"),
    ("images/generations", {"n": 11}, "integer_above_max_value", "n"),
    ("audio/speech", {"input": ""}, "invalid_value", "input"),
    ("audio/speech", {"model": LEFT_OUT}, "missing_required_parameter", "model"),
    ("audio/speech", {"response_format": "flac"}, "invalid_value", "response_format"),
    ("audio/transcriptions", {}, None, None),
]


@pytest.mark.parametrize(
    ("path", "changes", "code", "param"),
    [
        *[("chat/completions", *mistake) for mistake in CHAT_MISTAKES],
        *[("responses", *mistake) for mistake in RESPONSES_MISTAKES],
        *OTHER_MISTAKES,
    ],
)
def test_each_mistake_has_the_code_and_param_of_the_api(desk, path, changes, code, param):
    body = {name: value for name, value in (BASES.get(path, {}) | changes).items() if value is not LEFT_OUT}
    error = desk.json("POST", f"/v1/{path}", body, status=400)["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]


@pytest.mark.parametrize(
    ("path", "changes", "code", "param"),
    [
        ("chat/completions", {"model": "gpt-9"}, "model_not_found", None),
        ("responses", {"model": "gpt-9"}, "model_not_found", None),
        ("responses", {"prompt": {"id": "pmpt_1"}}, None, "prompt.id"),
        ("responses", {"conversation": "conv_1"}, None, "conversation"),
        ("responses", {"conversation": {"id": "conv_1"}}, None, "conversation"),
    ],
)
def test_what_is_not_there_is_not_found(desk, path, changes, code, param):
    error = desk.json("POST", f"/v1/{path}", BASES[path] | changes, status=404)["error"]
    assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize("api", ["chat", "respond"])
def test_an_unsupported_schema_is_a_400(desk, api):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    strict = {"name": "thing", "schema": schema, "strict": True}
    fields = {
        "chat": {"response_format": {"type": "json_schema", "json_schema": strict}},
        "respond": {"text": {"format": {"type": "json_schema", **strict}}},
    }
    error = getattr(desk, api)(**fields[api], status=400)["error"]
    assert error["code"] == "invalid_json_schema"
    assert error["message"].startswith("Invalid schema for response_format 'thing': In context=()")


def test_a_schema_that_only_an_attempt_shows_impossible_is_a_400(desk):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "(?=x)y"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "name": "act", "parameters": schema, "strict": True}
    assert (
        desk.respond(tools=[tool], tool_choice="required", status=400)["error"]["code"] == "invalid_function_parameters"
    )
    text = {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}}
    assert "pattern" in desk.respond(text=text, status=400)["error"]["message"]


def test_a_prompt_beyond_the_window_is_refused_or_truncated(desk_with):
    desk = desk_with(models={"gpt-6-luna": Model(context_tokens=100)})
    long = "word " * 500
    assert desk.chat(long, status=400)["error"]["code"] == "context_length_exceeded"
    assert desk.respond(long, status=400)["error"]["code"] == "context_length_exceeded"
    assert desk.respond(long, truncation="auto")["usage"]["input_tokens"] == 100


def test_a_model_past_its_shutdown_date_is_gone(desk_with):
    desk = desk_with(models={"gpt-6-luna": Model(shutdown_date="2026-11-20")})
    desk.chat()
    desk.clock.move(3 * 86_400)
    error = desk.chat(status=404)["error"]
    assert error["code"] == "model_not_found"
    assert "deprecated" in error["message"]


def test_error_messages_do_not_repeat_the_input(desk):
    secret = "my-secret-text"
    for body in ({"model": "gpt-6-luna", "messages": secret}, {"model": "gpt-6-luna", "messages": [{"role": secret}]}):
        assert secret not in desk.json("POST", "/v1/chat/completions", body, status=400)["error"]["message"]


def test_every_answer_has_the_headers_of_the_api(desk):
    for script in (desk.ask("GET", "/v1/models"), desk.ask("GET", "/v1/none")):
        assert script.headers[b"x-request-id"].startswith(b"req_")
        assert script.headers[b"openai-version"] == b"2020-10-01"
        assert script.headers[b"openai-organization"] == b"org-simulator"
        assert script.headers[b"openai-processing-ms"].isdigit()
