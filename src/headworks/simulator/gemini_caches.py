"""The caches of Google's Gemini API: made, shown, kept for longer and deleted, and put before what a call asks.

Source: Gemini API reference, "Caching" (2026-11), and the types of the official SDK, 3.6. A cache is of one key's
project and one model, and lives for an hour unless its maker says otherwise.
"""

import datetime as dt
import re
from collections.abc import Callable

import msgspec

from headworks.calls import Endpoint
from headworks.simulator.chance import identifier
from headworks.simulator.cloud_paths import VERTEX
from headworks.simulator.gemini_asking import CachedBody, GeminiBody, behind_cache, cached_body, gemini_ask
from headworks.simulator.gemini_wire import signature
from headworks.simulator.projects import Cache, Value, answered, query_of
from headworks.simulator.provider import Provider, Visit
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import Script

LEAST_TOKENS = 1024
"""Of a cache (Google, "Context caching", 2026-11: 1,024 for Flash models, and more for others)."""

PATH = re.compile(r"/v1(?:beta)?/cachedContents(?:/([^/]+))?")
_TTL = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_USUAL_TTL_S = 3600.0
_MOST_A_PAGE = 1000


def create(provider: Provider, visit: Visit) -> Script:
    """POST /v1beta/cachedContents"""
    asked = cached_body(visit.request.body)
    whose = _of_models(visit)
    if whose != "models/" and not asked.model.startswith(whose):
        raise Rejection(400, "Request contains an invalid argument: `model` must be the full resource name.")
    name, model = provider.model(asked.model.removeprefix(whose), "text", Endpoint.GENERATE_CONTENT, visit.now)
    whole = behind_cache(asked, GeminiBody())
    ask = gemini_ask(whole, name, model, lambda subject: signature(provider.plan.seed, subject))
    tokens = ask.prompt_tokens()
    if tokens < LEAST_TOKENS:
        raise Rejection(
            400, f"Cached content is too small. total_token_count={tokens}, min_total_token_count={LEAST_TOKENS}"
        )
    provider.admit(visit, name, tokens)
    expires_at = _end(asked, visit.now) or visit.now + _USUAL_TTL_S
    cache_id = identifier("", provider.plan.seed, visit.unique)[:24]
    value: Value = {
        "name": f"cachedContents/{cache_id}",
        "model": f"models/{name}",
        "displayName": asked.display_name or "",
        "createTime": _time(visit.now),
        "updateTime": _time(visit.now),
        "expireTime": _time(expires_at),
        "usageMetadata": {"totalTokenCount": tokens},
    }
    provider.project.caches.add(cache_id, Cache(value, asked, tokens, expires_at))
    return _shown(value, visit)


def list_all(provider: Provider, visit: Visit) -> Script:
    """GET /v1beta/cachedContents"""
    query = query_of(visit.request.query)
    size = min(int(query.get("pageSize") or 0) or _MOST_A_PAGE, _MOST_A_PAGE)
    start = int(query.get("pageToken") or 0)
    found = [_named(one.value, visit) for one in provider.project.caches.all() if one.expires_at > visit.now]
    page: Value = {"cachedContents": found[start : start + size]} if found else {}
    if start + size < len(found):
        page["nextPageToken"] = str(start + size)
    return answered(page)


def show(provider: Provider, visit: Visit) -> Script:
    """GET /v1beta/cachedContents/{id}"""
    return _shown(_cache(provider, _id_in(visit), visit.now).value, visit)


def keep_on(provider: Provider, visit: Visit) -> Script:
    """PATCH /v1beta/cachedContents/{id}: only its end can be changed."""
    cache = _cache(provider, _id_in(visit), visit.now)
    asked = cached_body(visit.request.body)
    expires_at = _end(asked, visit.now)
    if expires_at is None:
        raise Rejection(400, "Update mask must contain ttl or expire_time.")
    cache.expires_at = expires_at
    cache.value = {**cache.value, "updateTime": _time(visit.now), "expireTime": _time(expires_at)}
    return _shown(cache.value, visit)


def delete(provider: Provider, visit: Visit) -> Script:
    """DELETE /v1beta/cachedContents/{id}"""
    cache_id = _id_in(visit)
    _cache(provider, cache_id, visit.now)
    provider.project.caches.remove(cache_id)
    return answered({})


ALL: dict[str, Callable[[Provider, Visit], Script]] = {"POST": create, "GET": list_all}
ONE: dict[str, Callable[[Provider, Visit], Script]] = {"GET": show, "PATCH": keep_on, "DELETE": delete}


def before(provider: Provider, visit: Visit, body: GeminiBody, model_id: str) -> tuple[GeminiBody, int]:
    """What a call asks with its cache before it, and how many tokens that has.

    Raises:
        Rejection: it is not there, is of another model, or has what the call says again.
    """
    if body.cached_content is None:
        return body, 0
    parent = visit.request.headers.get(VERTEX, b"").decode()
    if parent and not body.cached_content.startswith(f"{parent}/"):
        raise Rejection(400, "Request contains an invalid argument: `cachedContent` must be the full resource name.")
    cache_id = body.cached_content.removeprefix(f"{parent}/").removeprefix("cachedContents/")
    cache = _cache(provider, cache_id, visit.now)
    if cache.value["model"] != f"models/{model_id}":
        raise Rejection(
            400,
            f"Model used by GenerateContent request (models/{model_id}) and CachedContent ({cache.value['model']}) has "
            "to be the same.",
        )
    return behind_cache(cache.asked, body), cache.tokens


def _of_models(visit: Visit) -> str:
    """With what the name of a model begins."""
    parent = visit.request.headers.get(VERTEX, b"").decode()
    return f"{parent}/publishers/google/models/" if parent else "models/"


def _named(value: Value, visit: Visit) -> Value:
    """A cache by the names that whoever asks has for such things."""
    parent = visit.request.headers.get(VERTEX, b"").decode()
    if not parent:
        return value
    model = str(value["model"]).removeprefix("models/")
    return {**value, "name": f"{parent}/{value['name']}", "model": _of_models(visit) + model}


def _shown(value: Value, visit: Visit) -> Script:
    return answered(_named(value, visit))


def _cache(provider: Provider, cache_id: str, now: float) -> Cache:
    caches = provider.project.caches
    cache = caches.get(cache_id) if caches.has(cache_id) else None
    if cache is None or cache.expires_at <= now:
        raise Rejection(403, "CachedContent not found (or permission denied)")
    return cache


def _id_in(visit: Visit) -> str:
    found = PATH.fullmatch(visit.request.path)
    return (found[1] if found is not None else "") or ""


def _end(asked: CachedBody, now: float) -> float | None:
    """When a cache ends; None where nothing is said. Raises Rejection: the API's 400."""
    if asked.ttl is not None:
        found = _TTL.fullmatch(asked.ttl)
        if found is None:
            raise Rejection(400, "Invalid value at 'cached_content.ttl': illegal duration format")
        return now + float(found[1])
    if asked.expire_time is None:
        return None
    try:
        return msgspec.convert(asked.expire_time, dt.datetime).timestamp()
    except msgspec.ValidationError:
        raise Rejection(400, "Invalid value at 'cached_content.expire_time': illegal time format") from None


def _time(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat().replace("+00:00", "Z")
