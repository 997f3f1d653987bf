"""`headworks conformance` on servers that are broken on purpose, each in one way, which is found and named."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_processes import Process
from e2e_relay import Breakage, Relay, relaying

from headworks.cli import main

CONFIG = """
version: 1
providers:
  openai: {{kind: openai, base_url: "{server}/v1", api_key: env:SUITE_KEY, speaks: [responses]}}
  cellar: {{kind: openai-compatible, base_url: "{server}/v1", api_key: env:SUITE_KEY, speaks: [chat, embeddings]}}
  claude: {{kind: anthropic, base_url: "{server}/v1", api_key: env:SUITE_KEY}}
  bedrock: {{kind: bedrock, region: eu-west-1, base_url: "{server}", api_key: env:SUITE_KEY}}
  google: {{kind: gemini, base_url: "{server}/v1beta", api_key: env:SUITE_KEY}}
models:
  a: openai/gpt-6-luna
  b: cellar/gpt-6-luna
  c: claude/claude-sonnet-5
  d: google/gemini-3.5-flash
  e: bedrock/claude-sonnet-5
"""


def of_body(change: Callable[[bytes], bytes], *, only: bytes = b"") -> Breakage:
    """A breakage of bodies that have this in them."""
    return lambda status, headers, body: (status, headers, change(body) if only in body else body)


def replaced(old: str, new: str) -> Breakage:
    return of_body(lambda body: re.sub(old.encode(), new.encode(), body))


def typed_otherwise(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    return status, headers | {"content-type": "text/plain"}, body


def told_otherwise(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    return (status, headers, b'{"detail": "Not found"}') if status >= 400 else (status, headers, body)


def never_missing(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    return (500 if status >= 400 else status), headers, body


@pytest.fixture
def breaking(simulator: Process) -> Iterator[Relay]:
    with relaying(simulator.address) as server:
        yield server


@pytest.fixture
def measured(
    breaking: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str, Breakage], tuple[int, dict[str, str]]]:
    """The exit code, and of each recorded shape that is not as it should be what is said of it."""
    (tmp_path / "headworks.yaml").write_text(CONFIG.format(server=breaking.address))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUITE_KEY", "sk-simulated")

    def measure(provider: str, breakage: Breakage) -> tuple[int, dict[str, str]]:
        breaking.breakage = breakage
        words = ["--model", "embeddings=text-embedding-3-small"] if provider == "cellar" else []
        code = main(["conformance", provider, "--json", *words])
        told = json.loads(capsys.readouterr().out)["cases"]
        bad = [one for one in told if one["part"] == "shape" and one["outcome"] in ("wrong", "failed")]
        return code, {f"{one['spoken']}: {one['case']}": "; ".join(one["differences"]) for one in bad}

    return measure


@pytest.mark.parametrize("provider", ["openai", "cellar", "claude", "bedrock", "google"])
def test_a_server_that_changes_nothing_is_found_whole(
    measured: Callable[[str, Breakage], tuple[int, dict[str, str]]], provider: str
) -> None:
    assert measured(provider, lambda *told: told) == (0, {})


DONE = replaced(r"data: \[DONE\]\n\n", "")
BREAKAGES = [
    ("openai", "no numbers", replaced(r'"sequence_number":\d+', '"sequence_number":7'), "text, streamed", "count"),
    ("openai", "names of events", replaced(r"event: [\w.]+\n", ""), "text, streamed", "name is not its type"),
    ("openai", "no usage", replaced(r'"usage":{', '"used":{'), "text", "usage: is missing"),
    ("openai", "an end is lost", replaced(r"event: response.completed\n[^\n]*\n\n", ""), "text, streamed", "completed"),
    ("openai", "arguments are objects", replaced(r'"arguments":"{[^}]*}"', '"arguments":{}'), "function", "no text"),
    ("openai", "a piece is lost", replaced(r'"delta":"You"', '"delta":""'), "text, streamed", "not its whole"),
    ("cellar", "no [DONE]", DONE, "text, streamed", "[DONE]"),
    ("cellar", "types", typed_otherwise, "text", "content-type: is not application/json"),
    ("cellar", "types of streams", typed_otherwise, "text, streamed", "content-type: is not text/event-stream"),
    ("cellar", "errors in other words", told_otherwise, "error for an unknown model", "error: is missing"),
    ("cellar", "errors of its own", never_missing, "error for an unknown model", "answered 500"),
    ("cellar", "no reasons", replaced(r'"finish_reason":"\w+"', '"finish_reason":null'), "text", "finish_reason"),
    ("cellar", "another end", replaced('"tool_calls"}', '"stop"}'), "function, streamed", "finish_reason 'tool_calls'"),
    ("cellar", "vectors as text", replaced(r'"embedding":\[[^]]*\]', '"embedding":"x"'), "one text", "is no list"),
    ("cellar", "half a stream", of_body(lambda body: body[: len(body) // 2], only=b"data: "), "text, streamed", ""),
    ("cellar", "half an answer", of_body(lambda body: body[: len(body) // 2], only=b'{"id"'), "text", "no JSON"),
    ("claude", "blocks stay open", replaced(r"event: content_block_stop\n[^\n]*\n\n", ""), "text, streamed", "closed"),
    (
        "claude",
        "other names",
        replaced(r"event: message_stop", "event: stop"),
        "text, streamed",
        "name is not its type",
    ),
    ("claude", "input as text", replaced(r'"input":{"city":"Oslo"}', '"input":"Oslo"'), "function", "is no object"),
    ("claude", "no count", replaced(r'"input_tokens":\d+', '"input_tokens":0'), "tokens, counted", "not above zero"),
    ("claude", "errors without type", replaced(r'"type":"error",', ""), "error for an unknown model", "type"),
    ("google", "no usage", replaced("usageMetadata", "usage"), "text, streamed", "usageMetadata"),
    ("google", "no end", replaced(r'"finishReason":"\w+"', '"index":0'), "function, streamed", "finishReason"),
    ("google", "arguments as text", replaced(r'"args":{[^}]*}', '"args":"{}"'), "function", "args: is no object"),
    (
        "bedrock",
        "a checksum",
        of_body(lambda body: body[:-1] + b"x", only=b":event-type"),
        "text, streamed",
        "checksum",
    ),
    ("bedrock", "no reason", replaced('"stopReason"', '"endReason"'), "text", "stopReason: is missing"),
    (
        "bedrock",
        "half a stream",
        of_body(lambda body: body[:-40], only=b":event-type"),
        "function, streamed",
        "metadata",
    ),
]


@pytest.mark.parametrize(
    ("provider", "breakage", "case", "says"),
    [(provider, breakage, case, says) for provider, _, breakage, case, says in BREAKAGES],
    ids=[f"{provider}-{name}" for provider, name, *_ in BREAKAGES],
)
def test_a_breakage_is_found(
    measured: Callable[[str, Breakage], tuple[int, dict[str, str]]],
    provider: str,
    breakage: Breakage,
    case: str,
    says: str,
) -> None:
    code, told = measured(provider, breakage)
    found = {place.partition(": ")[2]: said for place, said in told.items()}

    assert code == 1
    assert says in found[case]


def test_a_server_without_room_is_asked_again_when_it_says(
    measured: Callable[[str, Breakage], tuple[int, dict[str, str]]],
) -> None:
    asked = 0

    def busy(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        nonlocal asked
        asked += 1
        if asked % 2:
            return 429, headers | {"retry-after-ms": "1"}, b'{"error": {"message": "Slow down.", "type": "requests"}}'
        return status, headers, body

    assert measured("cellar", busy) == (0, {})
