"""A plugin for pytest: where a test of the SDK names a thing that is not there (`batch_id`), one is made for it.

The SDK's tests are written for a server that answers whatever it is asked. Headworks and its simulator are not like
that: so before a request goes out, the made-up id in it becomes the id of a thing that was just made.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
from openai import _base_client
from openai._models import FinalRequestOptions

_API = httpx2.Client(base_url=os.environ.get("TEST_API_BASE_URL", ""), headers={"authorization": "Bearer any"})


def _post(path: str, **sent: Any) -> str:
    answer = _API.post(f"{str(_API.base_url).rstrip('/')}{path}", **sent)
    answer.raise_for_status()
    made: str = answer.json()["id"]
    return made


def _file(purpose: str = "assistants", data: bytes = b"Hello.") -> str:
    return _post("/files", files={"file": ("made.jsonl", data)}, data={"purpose": purpose})


def _lines() -> str:
    body = '{"model": "gpt-6-luna", "input": "Hello"}'
    line = f'{{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {body}}}\n'
    return _file("batch", line.encode())


def _batch() -> str:
    asked = {"input_file_id": _lines(), "endpoint": "/v1/responses", "completion_window": "24h"}
    return _post("/batches", json=asked)


def _upload() -> str:
    return _post("/uploads", json={"filename": "a", "bytes": 6, "mime_type": "text/plain", "purpose": "assistants"})


def _response() -> str:
    return _post("/responses", json={"model": "gpt-6-luna", "input": "Hello"})


_MAKERS: Mapping[str, Callable[[], str]] = {
    "batch_id": _batch,
    "conv_123": lambda: _post("/conversations", json={}),
    "file_id": _file,
    "input_file_id": _lines,
    "resp_123": _response,
    "resp_677efb5139a88190b512bc3fef8e535d": _response,
    "response_id": _response,
    "upload_abc123": _upload,
    "vector_store_id": lambda: _post("/vector_stores", json={"name": "made"}),
    "vs_abc123": lambda: _post("/vector_stores", json={"name": "made"}),
}
_IN_PATH = re.compile("|".join(rf"(?<=/){name}(?=/|$)" for name in sorted(_MAKERS, key=len, reverse=True)))
_IN_STORE = re.compile(r"/vector_stores/([^/]+)/(files|file_batches)/([^/]+)")


def _path(path: str) -> str:
    """The path with ids of what is there."""
    if re.fullmatch(r"/files/[^/]+/content", path):
        return path  # these tests answer themselves
    if path.startswith("/responses/") and path.endswith("/cancel"):
        made = _post("/responses", json={"model": "gpt-6-luna", "input": "Hello", "background": True})
        return f"/responses/{made}/cancel"
    in_store = _IN_STORE.match(path)
    if in_store is None:
        return _IN_PATH.sub(lambda found: _MAKERS[found[0]](), path)
    store = _MAKERS["vector_store_id"]()
    of_store = f"/vector_stores/{store}/{in_store[2]}"
    sent = {"file_id": _file()} if in_store[2] == "files" else {"file_ids": [_file()]}
    return f"{of_store}/{_post(of_store, json=sent)}{path[in_store.end() :]}"


def _with_what_is_there(options: FinalRequestOptions) -> FinalRequestOptions:
    fields = options.json_data
    if isinstance(fields, dict):
        options.json_data = {
            name: _MAKERS[value]() if name.endswith("_id") and isinstance(value, str) and value in _MAKERS else value
            for name, value in fields.items()
        }
    options.url = _path(options.url)
    return options


_build = _base_client.BaseClient._build_request


def _build_request(self: Any, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Request:
    if not retries_taken:
        options = _with_what_is_there(options)
    return _build(self, options, retries_taken=retries_taken)


_base_client.BaseClient._build_request = _build_request
