"""The same APIs as two clouds serve them, under paths of their own: Azure OpenAI, and Vertex AI for Gemini.

A request to one of them is answered as one to the maker's own API, with what the cloud adds: Azure's annotations of
its content filter, and its request id.
"""

import re
import urllib.parse
from itertools import chain

import msgspec

from headworks.exchange import Request
from headworks.simulator import rejection
from headworks.simulator.script import Beat, Script

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/.+)")
_VERTEX = re.compile(
    r"/v1(?:beta1)?/projects/([^/]+/locations/[^/]+)/"
    r"(?:(cachedContents(?:/[^/]+)?)|(?:publishers/google/models|endpoints)/([^/]+:[A-Za-z]+))"
)
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?")
VERTEX = b"x-simulated-vertex"
"""By which a request that came to Vertex AI's path is known on its way, and to which project and location: embeddings
have another form there, and caches other names."""

_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_ASKED = msgspec.json.encode([{"prompt_index": 0, "content_filter_results": _SAFE}])
_SAID = msgspec.json.encode(_SAFE)
_FIRST = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":%b}\n\n' % _ASKED
"""With what Azure begins a stream of Chat, before anything is generated."""


class _Answer(msgspec.Struct):
    choices: tuple[dict[str, msgspec.Raw], ...]


def is_azure(path: str) -> bool:
    """Whether a path is one of Azure OpenAI's."""
    return path.startswith("/openai/")


def plain_request(request: Request) -> Request:
    """The same request to the API's own maker. What is none of a cloud's comes back as it is.

    Raises:
        Rejection: there is no such path, or not without the version that it needs.
    """
    vertex = _VERTEX.fullmatch(request.path)
    if vertex is not None:
        parent = f"projects/{vertex[1]}"
        request = msgspec.structs.replace(request, headers={**request.headers, VERTEX: parent.encode()})
        return _moved(request, f"/v1beta/{vertex[2] or f'models/{vertex[3]}'}")
    if not is_azure(request.path):
        return request
    key = request.headers.get(b"api-key")
    headers = request.headers if key is None else {**request.headers, b"authorization": b"Bearer " + key}
    request = msgspec.structs.replace(request, headers=headers)
    if request.path.startswith("/openai/v1/"):
        return _moved(request, request.path.removeprefix("/openai"))
    versions = urllib.parse.parse_qs(request.query).get("api-version", [""])
    if not _DATED.fullmatch(versions[0]):
        raise rejection.no_such_path(request.method, request.path)
    found = _DEPLOYMENT.fullmatch(request.path)
    if found is None:
        return _moved(request, "/v1" + request.path.removeprefix("/openai"))
    return msgspec.structs.replace(_moved(request, f"/v1{found[2]}"), body=_with_model(request.body, found[1]))


def annotated(script: Script, path: str) -> Script:
    """The answer with what Azure adds to it, by the path of the API's own maker."""
    if path != "/v1/chat/completions" or script.status != 200:
        return script
    if script.length is None:
        return msgspec.structs.replace(script, beats=chain((Beat(_FIRST),), script.beats))
    beats = tuple(script.beats)
    try:
        answer = msgspec.json.decode(beats[0].data, type=_Answer) if len(beats) == 1 else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        answer = None
    if answer is None:  # a planned fault has bent it
        return msgspec.structs.replace(script, beats=iter(beats))
    fields = msgspec.json.decode(beats[0].data, type=dict[str, msgspec.Raw])
    said = [{**choice, "content_filter_results": msgspec.Raw(_SAID)} for choice in answer.choices]
    fields |= {"choices": msgspec.Raw(msgspec.json.encode(said)), "prompt_filter_results": msgspec.Raw(_ASKED)}
    beat = msgspec.structs.replace(beats[0], data=msgspec.json.encode(fields))
    return msgspec.structs.replace(script, beats=iter((beat,)), length=len(beat.data))


def _moved(request: Request, path: str) -> Request:
    return Request(request.method, path, request.query, request.headers, request.body)


def _with_model(body: bytes, deployment: str) -> bytes:
    """The body, asking the model that a path names; it may name another one, which does not count."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body  # the endpoint says what is wrong with it
    return msgspec.json.encode({**fields, "model": urllib.parse.unquote(deployment)})
