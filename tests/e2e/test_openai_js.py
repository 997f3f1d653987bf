"""The official JavaScript SDK, unchanged; with upstreams that speak both dialects, or only one of them."""

from collections.abc import Iterator

import pytest
from e2e_processes import Gateway, JavaScript

CONFIG = """
version: 1
providers:
  sim: {kind: simulator, pace: 0}
  only-chat: {kind: simulator, pace: 0, speaks: [chat]}
  only-responses: {kind: simulator, pace: 0, speaks: [responses]}
models:
  nano: sim/gpt-6-luna
  chat-nano: only-chat/gpt-6-luna
  responses-nano: only-responses/gpt-6-luna
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> JavaScript:
    return JavaScript(tmp_path_factory.mktemp("js"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway"), CONFIG)
    yield running
    assert running.process.stop() == 0


@pytest.mark.parametrize("model", ["nano", "chat-nano", "responses-nano"])
def test_the_javascript_sdk_calls_streams_and_fails_as_it_should(
    scripts: JavaScript, gateway: Gateway, model: str
) -> None:
    seen = scripts.run("calls.mjs", gateway, model)
    for part in ("response", "completion", "chatStream", "chatAccumulated", "streamed"):
        assert "hello" in seen[part].lower(), part
    assert seen["kinds"] == ["response.created", "response.completed"]
    assert seen["error"] == {"name": "BadRequestError", "status": 400, "code": "invalid_type"}
