"""Every path of the API is behind a key, a key keeps to its scope, and nothing that a caller sends widens it."""

import json
import os
import re
import sqlite3
import time

import pytest

from headworks import endpoints, stored_routes
from headworks.access import KEYS_FILE, KeyStore, server_secret
from headworks.calls import Endpoint
from headworks.config import load
from headworks.endpoints import ROUTES, Manner, find_route

OPEN = {("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics")}
"""What answers without a key. A route that is added here must be argued for in SECURITY.md."""

PULSE = "/v1/diagnostics/stream"  # a stream of two seconds


def sample(pattern):
    """A path that a row's regular expression takes."""
    text = pattern.removeprefix("/v1")
    for part in (stored_routes._ID, stored_routes._PART):
        text = text.replace(part, "x_1")
    text = re.sub(r"\(\?:/[^()]*\)\?|\(?\[0-9a-f\]\{1,64\}\)?", lambda found: "" if "/" in found[0] else "a1", text)
    text = re.sub(r"\(\?:([^|()]+)\|[^()]*\)", r"\1", text)
    text = re.sub(r"\((ft:)[^()]*\)", r"\1x", text)
    text = re.sub(r"\[[^\]]*\](?:\{[^}]*\}|\.\{[^}]*\})?(?:\.\{[^}]*\})?", "x", text)
    return "/v1" + ("" if text.startswith("/") else "/") + text


def everything():
    """Each method and path that there is, once."""
    found = {(route.method, route.path) for route in ROUTES}
    for pattern, _, _, methods in stored_routes._TABLE:
        found |= {(method, sample(pattern)) for method in methods}
    for pattern, methods, _, _ in endpoints._PATTERNS:
        found |= {(method, sample(pattern.pattern)) for method in methods}
    found |= {("POST", f"/v1beta/models/m:{verb}") for verb in ("generateContent", "streamGenerateContent")}
    return sorted(found)


@pytest.fixture(scope="session")
def moderator(watched):
    """A key that may call one endpoint, and one model there."""
    project = load(watched.folder)
    secret = server_secret(project.config.access.secret, watched.folder, os.environ)
    store = KeyStore(project.storage / KEYS_FILE)
    try:
        grant = {"endpoints": [Endpoint.MODERATIONS], "models": ["open/only"]}
        return store.create(name="moderator", secret=secret, now=time.time(), **grant)[1]
    finally:
        store.close()


def test_the_sampled_paths_are_the_routes():
    for method, path in everything():
        assert find_route(method, path).method in (method, "GET"), path
    assert len(everything()) > 70


def test_what_answers_without_a_key_is_a_list_of_three():
    assert {(route.method, route.path) for route in ROUTES if not route.needs_key} == OPEN
    assert all(find_route(method, path).needs_key for method, path in everything() if (method, path) not in OPEN)


def test_no_route_is_reached_without_a_good_key(watched):
    before = len(watched.upstream.heads)
    for method, path in everything():
        if (method, path) in OPEN:
            continue
        for key in ("", "Bearer ", "Bearer hw-0123456789", f"Bearer {watched.key[:-1]}", f"Basic {watched.key}"):
            status, answer = watched.ask(path, {"model": "open/m"}, method=method, authorization=key)
            assert status in (401, 429), (method, path, key[:12], status, answer[:200])  # 429: too many of them
    assert len(watched.upstream.heads) == before


def test_a_key_keeps_to_its_scope_on_every_route(watched, moderator):
    before = len(watched.upstream.heads)
    for method, path in everything():
        route = find_route(method, path)
        if (method, path) in OPEN or route.endpoint is Endpoint.MODELS or path == PULSE:
            continue
        body = {"model": "open/other", "input": "x", "messages": [], "contents": []}
        status, answer = watched.ask(path, body, method=method, authorization=f"Bearer {moderator}")
        expected = (404,) if route.endpoint is Endpoint.MODERATIONS else (403,)
        assert status in (*expected, 403), (method, path, status, answer[:200])
    assert len(watched.upstream.heads) == before


def test_nothing_that_a_caller_sends_makes_or_widens_a_key(watched, moderator):
    """Keys are made by the command line alone; what a body says of rights is a field like any other."""
    file = load(watched.folder).storage / KEYS_FILE
    before = rows(file)
    wishes = {
        "scopes": ["*"], "endpoints": ["*"], "models": ["*"], "allowed_routes": ["*"], "user_role": "proxy_admin",
        "role": "admin", "team": "others", "team_id": "others", "max_budget": 10**9, "key": "hw-mine",
        "permissions": {"all": True}, "is_admin": True, "metadata": {"role": "admin", "team": "others"},
    }  # fmt: skip
    administrative = [
        "/key/generate", "/key/update", "/user/new", "/user/update", "/team/new", "/config/update", "/v1/keys",
        "/v1/organization/admin_api_keys", "/v1/organization/projects", "/mcp-rest/test/connection", "/guardrails",
        "/v1/admin/keys", "/model/new", "/reload", "/debug", "/docs", "/openapi.json", "/ui", "/simulator/plan",
    ]  # fmt: skip
    for path in administrative:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            status, _ = watched.ask(path, wishes, method=method)
            assert status in (404, 405), (method, path, status)
    for method, path in everything():
        route = find_route(method, path)
        if path == PULSE or route.manner is Manner.STORED:
            continue
        watched.ask(path, wishes | {"input": "x"}, method=method, authorization=f"Bearer {moderator}")
        watched.ask(path, json.dumps(wishes).encode(), method=method, x_headworks_team="others", x_user_role="admin")

    assert rows(file) == before
    status, _ = watched.ask("/v1/responses", {"model": "open/m", "input": "x"}, authorization=f"Bearer {moderator}")
    assert status == 403
    assert watched.faults() == []


def rows(file):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT * FROM keys ORDER BY 1").fetchall()
    connection.close()
    assert found
    return found
