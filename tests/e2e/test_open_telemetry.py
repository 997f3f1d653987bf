"""A running gateway sends its calls to a collector, and again when that was away."""

import gzip
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
from e2e_processes import Gateway

CONFIG = """
version: 1
providers:
  sim: {{kind: simulator, pace: 0}}
models:
  fast: sim/gpt-6-luna
records:
  sinks:
    traces: {{use: opentelemetry, since: start, settings: {{endpoint: "http://127.0.0.1:{port}"}}}}
"""


class _Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        got: list[Any] = self.server.got  # type: ignore[attr-defined]
        got.append(json.loads(gzip.decompress(self.rfile.read(int(self.headers["content-length"])))))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def _spans(got: list[Any]) -> list[dict[str, Any]]:
    return [span for request in got for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]]


def test_calls_reach_a_collector_also_those_of_when_it_was_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    gateway = Gateway(tmp_path, CONFIG.format(port=port))
    try:
        with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key) as client:
            first = client.chat.completions.with_raw_response.create(
                model="fast", messages=[{"role": "user", "content": "A planted secret."}]
            )
            gateway.record(first.headers["x-headworks-call-id"])  # nobody is there to take it yet
            with ThreadingHTTPServer(("127.0.0.1", port), _Collector) as server:
                got: list[Any] = []
                server.got = got  # type: ignore[attr-defined]
                threading.Thread(target=server.serve_forever, daemon=True).start()
                list(client.responses.create(model="fast", input="A planted secret.", stream=True))
                due_s = time.monotonic() + 60
                while len(_spans(got)) < 2:
                    assert time.monotonic() < due_s, (got, gateway.process.said)
                    time.sleep(0.05)
                server.shutdown()
    finally:
        assert gateway.process.stop() == 0, gateway.process.said
    whole, streamed = _spans(got)[:2]
    assert [span["name"] for span in (whole, streamed)] == ["chat fast", "chat fast"]
    names = [{one["key"] for one in span["attributes"]} for span in (whole, streamed)]
    assert all({"gen_ai.usage.input_tokens", "gen_ai.provider.name", "headworks.cost_usd"} <= found for found in names)
    assert "gen_ai.response.time_to_first_chunk" in names[1]
    assert "planted" not in json.dumps(got)
