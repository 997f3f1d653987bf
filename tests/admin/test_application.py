import hashlib
import json
import os
from datetime import UTC, datetime

import jsonschema_rs
import pytest

from headworks.access import KEYS_FILE, ROLES, KeyStore, Right, Role, store
from headworks.access.keys import make_key
from headworks.access.roles import FOR_ALL_ONLY
from headworks.admin.api.openapi import build
from headworks.admin.api.table import OPERATIONS
from headworks.admin.authenticating import LOCKOUT_S, TRIES
from headworks.config import parse
from headworks.database import open_database
from headworks.errors import StorageError
from tests.admin.conftest import NOW_S, TEXT

DOCUMENT = build()
NOBODY = "hw-000000000000000000000000000000000000000"


def is_as_described(operation, answer):
    schema = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"][str(operation.status)]
    schema = schema["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]}
    jsonschema_rs.validator_for(schema).validate(answer)
    return True


def example(operation):
    """A request of this operation about things that do not exist."""
    path = operation.path
    for name in operation.path_fields:
        path = path.replace(f"{{{name}}}", "nobody")
    body = {"approve": True} if operation.name == "approvals.decide" else None
    return operation.method, path, body


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR, Role.ANALYST, Role.AUDITOR, Role.CALLER])
def test_each_role_comes_to_what_the_table_says_and_to_nothing_else(api, role):
    _, key = api.key(role)

    for operation in OPERATIONS:
        method, path, body = example(operation)
        answer = api.call(method, path, key, body)
        is_allowed = operation.right is None or operation.right in ROLES[role].rights
        assert (answer.status != 403) == is_allowed, operation.name
        if not is_allowed:
            assert answer.code == "role_not_allowed"
            assert api.recorded[-1][0] == f"admin.{operation.name}"
            assert api.recorded[-1][5] == "refused"


def test_a_role_in_one_organisation_does_not_open_what_concerns_everybody(api):
    _, admin = api.key("admin", team="search")
    _, auditor = api.key("auditor", team="search")

    for operation in OPERATIONS:
        if operation.right in FOR_ALL_ONLY:
            method, path, body = example(operation)
            assert {api.call(method, path, key, body).status for key in (admin, auditor)} == {403}, operation.name


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.method == "GET" and not one.path_fields])
def test_answers_are_what_the_document_says(api, operation):
    api.key("caller", "search")
    _, key = api.key("auditor" if operation.right is Right.READ_AUDIT else "admin")
    answer = api.call("GET", operation.path, key)

    assert answer.status == 200, answer.body
    assert is_as_described(operation, answer.json)
    assert answer.headers["cache-control"] == ["no-store"]


def test_every_reference_of_the_document_leads_somewhere():
    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                yield from references(one)

    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) == known
    assert len(OPERATIONS) == len({one.name for one in OPERATIONS})


@pytest.mark.parametrize("path", ["/keys", "/me", "/openapi.json", "/nothing"])
def test_without_a_good_key_nobody_learns_even_what_there_is(api, path):
    answers = [api.call("GET", path), api.call("GET", path, NOBODY), api.call("GET", path, "eyJ.x.y")]

    assert [(one.status, one.code) for one in answers] == [(401, "not_authenticated")] * 3
    assert answers[0].headers["www-authenticate"] == ['Bearer realm="headworks admin"']


def test_revoked_expired_and_foreign_keys_are_as_good_as_none(api):
    revoked, first = api.key("admin")
    _, second = api.key("admin", expires_at=api.now() + 10)
    assert [api.call("GET", "/me", key).status for key in (first, second)] == [200, 200]

    with api.shell.keys() as store:
        store.revoke(revoked.key_id, now=api.now())
    api.now.now_s += 11
    assert [api.call("GET", "/me", key).status for key in (first, second)] == [401, 401]


def test_an_address_that_guesses_is_locked_out_and_good_keys_are_taken_from_there(api):
    _, key = api.key("admin")
    answers = [api.call("GET", "/me", NOBODY) for _ in range(TRIES + 2)]

    assert [one.status for one in answers] == [401] * TRIES + [429] * 2
    assert answers[-1].headers["retry-after"] == [str(int(LOCKOUT_S))]
    assert api.call("GET", "/me", key).status == 200
    assert api.call("GET", "/me", NOBODY, peer="10.0.0.2").status == 401
    api.clock.now_s += LOCKOUT_S
    assert api.call("GET", "/me", NOBODY).status == 401


def test_wrong_keys_do_not_have_the_file_of_keys_opened_for_each_of_them(api, monkeypatch):
    opened = []
    monkeypatch.setattr(store, "open_database", lambda *a, **b: opened.append(a) or open_database(*a, **b))
    statuses = {api.call("GET", "/me", make_key(os.urandom), peer=f"10.0.1.{number}").status for number in range(20)}

    assert statuses == {401}
    assert len(opened) == 1


def test_keys_of_a_file_that_was_put_in_place_of_another_are_the_ones_that_are_good(api):
    file = api.project.storage / KEYS_FILE
    _, before = api.key("admin")
    assert api.call("GET", "/me", before).status == 200
    for one in file.parent.glob(f"{KEYS_FILE}*"):
        one.unlink()
    assert api.call("GET", "/me", before).status == 401
    _, after = api.key("admin")
    assert api.call("GET", "/me", after).status == 200


def test_a_file_of_keys_that_cannot_be_read_is_said_and_looked_at_again(api, monkeypatch):
    _, key = api.key("admin")
    monkeypatch.setattr(KeyStore, "version", lambda _: (_ for _ in ()).throw(StorageError("a disk is gone")))
    assert (api.call("GET", "/me", key).status, api.call("GET", "/me", key).code) == (503, "storage_unavailable")
    monkeypatch.undo()
    assert api.call("GET", "/me", key).status == 200


def test_who_is_refused_is_told_once_an_hour_for_each_address(api):
    for _ in range(3):
        api.call("GET", "/keys", NOBODY)
    api.executor.submit(lambda: None).result()

    assert [one[0] for one in api.recorded] == ["access.refused"]
    assert api.recorded[0][2:] == ("10.0.0.1", "/admin/v1/keys", {"code": "not_authenticated"}, "refused")


def test_a_key_does_not_follow_its_team_into_another_organisation(project, api):
    record, key = api.key("admin", "search")
    moved = TEXT.replace("{teams: [search, support]}", "{teams: [support]}").replace("[billing]}", "[billing, search]}")
    assert api.call("GET", "/keys", key).status == 200

    api.use(parse(moved, file=str(project.file), base=project.folder))
    assert (api.call("GET", "/me", key).json["roles"], api.call("GET", "/keys", key).status) == ([], 403)
    _, boss = api.key("admin")
    rotated = api.call("POST", f"/keys/{record.key_id}/rotate", boss, {"overlap_s": 0}).json["key"]
    assert api.call("GET", "/me", rotated).json["roles"] == [{"role": "admin", "organisation": "globex"}]


def test_requests_of_one_key_are_bounded(project, api):
    api.use(parse(f"{TEXT}admin: {{requests_per_minute: 10}}\n", file=str(project.file), base=project.folder))
    _, key = api.key("admin")
    answers = [api.call("GET", "/me", key, peer=f"10.0.1.{number}") for number in range(12)]

    assert [one.status for one in answers] == [200] * 10 + [429] * 2
    assert answers[-1].code == "too_many_requests"
    api.clock.now_s += 7
    assert api.call("GET", "/me", key, peer="10.0.2.1").status == 200


def test_a_good_key_is_taken_from_an_address_from_which_others_ask_too_often(project, api):
    api.use(parse(f"{TEXT}admin: {{requests_per_minute: 10}}\n", file=str(project.file), base=project.folder))
    _, key = api.key("admin")
    statuses = [api.call("GET", "/me").status for _ in range(12)]

    assert statuses == [401] * 10 + [429] * 2
    assert api.call("GET", "/login").status == 429
    assert [api.call("GET", "/me", key).status for _ in range(11)] == [200] * 10 + [429]


def test_who_has_many_addresses_in_one_network_asks_no_oftener(project, api):
    api.use(parse(f"{TEXT}admin: {{requests_per_minute: 10}}\n", file=str(project.file), base=project.folder))
    statuses = [api.call("GET", "/me", peer=f"2001:db8::{number:x}").status for number in range(1, 13)]

    assert statuses == [401] * 10 + [429] * 2
    assert api.call("GET", "/me", peer="2001:db8:0:1::1").status == 401


EVIL = {b"host": b"evil.example:4001"}


def test_a_page_that_has_its_own_name_lead_here_reads_nothing(api):
    _, key = api.key("admin")
    for path in ("/me", "/login", "/callback"):
        answer = api.call("GET", path, key, headers=EVIL)
        assert (answer.status, answer.code) == (421, "host_not_allowed")
    assert [
        api.call("GET", "/me", key, headers={b"host": name}).status for name in (b"127.0.0.1:4001", b"localhost")
    ] == [
        200,
        200,
    ]
    api.executor.submit(lambda: None).result()
    assert api.recorded[0][0::4] == ("access.refused", {"code": "host_not_allowed"})


@pytest.mark.parametrize(
    ("admin", "host", "status"),
    [
        ("{hosts: [gw.example]}", b"gw.example:4001", 200),
        ("{hosts: [gw.example]}", b"evil.example", 421),
        ("{tls: {certificate: c, key: k}}", b"evil.example", 200),  # which a browser does not come to
        ("{tls: {certificate: c, key: k}, hosts: [gw.example]}", b"evil.example", 421),
        ("{tls: {certificate: c, key: k}, host: gw.example, hosts: [other.example]}", b"gw.example", 200),
        ("{sign_in: {url: 'https://gw.example', issuer: 'https://id.example', client_id: c}}", b"gw.example", 200),
    ],
)
def test_names_that_lead_here_are_named(project, api, admin, host, status):
    api.use(parse(f"{TEXT}admin: {admin}\n", file=str(project.file), base=project.folder))
    _, key = api.key("admin")

    assert api.call("GET", "/me", key, headers={b"host": host}).status == status


def test_it_is_open_to_the_networks_that_it_is_meant_for(project, api):
    api.use(parse(f"{TEXT}admin: {{networks: [10.1.0.0/16]}}\n", file=str(project.file), base=project.folder))
    _, key = api.key("admin")
    _, bound = api.key("admin", networks=("10.1.2.0/24",))

    assert api.call("GET", "/me", key).code == "address_not_allowed"
    api.executor.submit(lambda: None).result()
    assert api.recorded[-1][0::4] == ("access.refused", {"code": "address_not_allowed"})
    assert api.call("GET", "/me", key, peer="10.1.9.9").status == 200
    assert api.call("GET", "/me", bound, peer="10.1.9.9").code == "address_not_allowed"
    assert api.call("GET", "/me", bound, peer="10.1.2.9").status == 200


def test_what_is_read_is_told_before_it_is_seen_and_not_shown_where_it_cannot_be(api):
    record, key = api.key("admin")
    assert api.call("GET", "/keys", key).status == 200
    assert api.recorded[-1][:4] == ("admin.keys.list", record.key_id, "10.0.0.1", "/admin/v1/keys")

    api.is_audit_full = True
    answer = api.call("GET", "/keys", key)
    assert (answer.status, answer.code) == (503, "storage_unavailable")
    assert "journals" not in answer.body.decode()
    assert any("journals are full" in line for line in api.log)


def test_what_comes_to_nothing_is_told_too(api):
    record, key = api.key("admin")
    for method, path, body, code, action, outcome in (
        ("GET", "/nonsense", None, "unknown_path", "admin.unknown", "failed"),
        ("DELETE", "/status", None, "method_not_allowed", "admin.unknown", "failed"),
        ("GET", "/keys?colour=red", None, "invalid_request", "admin.keys.list", "failed"),
        ("POST", "/keys", {"nome": "x"}, "invalid_request", "admin.keys.create", "failed"),
        ("GET", "/audit", None, "role_not_allowed", "admin.audit.search", "refused"),
    ):
        assert api.call(method, path, key, body).code == code
        told = api.recorded.pop()
        assert told[:3] == (action, record.key_id, "10.0.0.1")
        assert (told[4]["code"], told[5]) == (code, outcome)
    repeat = {b"idempotency-key": b"one"}
    api.call("POST", "/keys", key, {"name": "x"}, headers=repeat)
    api.call("POST", "/keys", key, {"name": "y"}, headers=repeat)
    assert (api.recorded[-1][0], api.recorded[-1][4]["code"]) == ("admin.keys.create", "idempotency_key_reused")


def test_a_key_is_made_shown_once_and_told(api):
    boss, key = api.key("admin")
    answer = api.call("POST", "/keys", key, {"name": "app", "team": "search", "budget": {"day_usd": "1.50"}})

    made = answer.json
    assert answer.status == 201
    assert is_as_described(next(one for one in OPERATIONS if one.name == "keys.create"), made)
    assert made["record"]["budget"] == {"day_usd": "1.5", "month_usd": None, "mode": "refuse", "alert_at": [80, 100]}
    assert made["record"]["organisation"] == "acme"
    action, actor, _, target, detail, outcome = api.recorded[-1]
    assert (action, actor, target, outcome) == ("key.created", boss.key_id, made["record"]["key_id"], "done")
    assert detail["by"] == "key"
    shown = api.call("GET", f"/keys/{made['record']['key_id']}", key)
    assert shown.json == made["record"]
    assert made["key"] not in json.dumps([api.recorded, api.log, shown.body.decode()])


def test_a_repeat_makes_no_second_key_and_does_not_show_the_first_again(api):
    _, key = api.key("admin")
    headers = {b"idempotency-key": b"one"}
    first = api.call("POST", "/keys", key, {"name": "app"}, headers=headers)
    again = api.call("POST", "/keys", key, {"name": "app"}, headers=headers)

    assert (again.status, again.json) == (201, first.json | {"key": None})
    assert again.headers["idempotent-replayed"] == ["true"]
    assert api.recorded[-1][4]["is_repeat"] == 1
    assert api.call("POST", "/keys", key, {"name": "other"}, headers=headers).code == "idempotency_key_reused"
    _, other = api.key("admin")
    assert api.call("POST", "/keys", other, {"name": "app"}, headers=headers).json["key"]
    assert first.json["key"].encode() not in (api.project.storage / "admin.db").read_bytes()


def test_what_came_to_nothing_may_be_tried_again_with_the_same_name(api):
    _, key = api.key("admin")
    headers = {b"idempotency-key": b"one"}

    assert api.call("POST", "/keys", key, {"role": "auditor"}, headers=headers).status == 403
    assert api.call("POST", "/keys", key, {"role": "auditor"}, headers=headers).status == 403


def test_a_change_of_what_has_changed_meanwhile_is_refused(api):
    record, _ = api.key(team="search")
    _, key = api.key("admin")
    path = f"/keys/{record.key_id}"
    etag = api.call("GET", path, key).headers["etag"][0].encode()

    first = api.call("PATCH", path, key, {"limits": {"requests_per_minute": 5}}, headers={b"if-match": etag})
    late = api.call("PATCH", path, key, {"priority": 0}, headers={b"if-match": etag})
    assert (first.status, late.status, late.code) == (200, 412, "changed_meanwhile")
    assert api.call("PATCH", path, key, {"priority": 0}, headers={b"if-match": b'"x"'}).status == 412
    assert api.call("PATCH", path, key, {"priority": 0}).json["limits"]["requests_per_minute"] == 5


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/keys", b"{", 400, "invalid_request"),
        ("POST", "/keys", b"[]", 400, "invalid_request"),
        ("POST", "/keys", {"nam": "x"}, 400, "invalid_request"),
        ("POST", "/keys", {"priority": 4}, 400, "invalid_request"),
        ("POST", "/keys", {"budget": {"day_usd": 1.5}}, 400, "invalid_request"),
        ("POST", "/keys", {"budget": {"day_usd": "1e3"}}, 400, "invalid_request"),
        ("POST", "/keys", {"networks": ["10.0.0.1/8"]}, 400, "invalid_request"),
        ("POST", "/keys", {"expires_at": "2001-01-01T00:00:00Z"}, 400, "invalid_request"),
        ("POST", "/keys", {"expires_at": "2099-01-01T00:00:00"}, 400, "invalid_request"),
        ("POST", "/keys?name=x", None, 400, "invalid_request"),
        ("PATCH", "/keys/key_x", {"key_id": "key_y"}, 400, "invalid_request"),
        ("GET", "/keys?limit=0", None, 400, "invalid_request"),
        ("GET", "/keys?limit=5&limit=6", None, 400, "invalid_request"),
        ("GET", "/keys?after=key_x", None, 400, "invalid_request"),
        ("GET", "/calls?after=!!", None, 400, "invalid_request"),
        ("GET", "/calls?since=yesterday", None, 400, "invalid_request"),
        ("GET", "/keys", {}, 400, "invalid_request"),
        ("GET", "/keys/key_nobody", None, 404, "not_found"),
        ("GET", "/calls/call_nobody", None, 404, "not_found"),
        ("GET", "/approvals/appr_nobody", None, 404, "not_found"),
        ("GET", "/nothing", None, 404, "unknown_path"),
        ("PUT", "/keys", {}, 405, "method_not_allowed"),
        ("POST", "/provider-keys/rotate", None, 409, "cannot_be_done"),
        ("GET", "/login", None, 404, "no_sign_in"),
        ("POST", "/logout", None, 409, "no_session"),
    ],
)
def test_errors_have_one_form_with_a_code(api, method, path, body, status, code):
    _, key = api.key("admin")
    answer = api.call(method, path, key, body)

    assert (answer.status, answer.code) == (status, code), answer.body
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.json["error"]["message"].endswith((".", "?"))


def test_a_body_that_is_not_said_to_be_json_is_not_read(api):
    _, key = api.key("admin")

    assert api.call("POST", "/keys", key, b"{}", headers={b"content-type": b"text/plain"}).status == 415


def test_keys_come_page_by_page(api):
    made = [api.key(team="search", name=str(number))[0].key_id for number in range(5)]
    _, key = api.key("admin")
    seen, after = [], ""
    while True:
        page = api.call("GET", f"/keys?team=search&limit=2{after}", key).json
        seen += [one["key_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert seen == made


def test_the_file_is_checked_before_the_gateway_is_asked_to_take_it(api):
    _, key = api.key("admin")
    assert api.call("POST", "/config/reload", key).json == {"fingerprint": "f" * 64, "warnings": []}

    api.project.file.write_text("providers: {}\n")
    answer = api.call("POST", "/config/reload", key)
    assert (answer.status, answer.code, len(api.taken)) == (422, "config_not_good", 1)
    assert "providers" in answer.json["error"]["message"]
    assert api.call("POST", "/config/check", key).json["ok"] is False


def test_the_configuration_is_shown_without_what_may_be_secret(project, api):
    text = (
        TEXT.replace(
            "{sim: {kind: simulator}}",
            "{sim: {kind: simulator}, up: {kind: openai, api_key: 'env:KEY', headers: {x-token: planted-1}}}",
        )
        + "records: {store: 'postgresql://planted-2@db.example/headworks'}\n"
    )
    api.use(parse(text, file=str(project.file), base=project.folder))
    _, key = api.key("admin")
    answer = api.call("GET", "/config", key)

    assert answer.status == 200
    assert b"planted" not in answer.body
    assert answer.json["config"]["providers"]["up"]["api_key"] == "env:KEY"


def test_a_request_whose_end_nobody_knows_is_not_made_again(api):
    boss, key = api.key("admin")
    headers = {b"idempotency-key": b"one"}
    digest = hashlib.sha256(b'POST\0/admin/v1/keys\0{"name": "app"}').digest()
    api.memory.begin(boss.key_id, "one", digest, api.now())

    assert api.call("POST", "/keys", key, {"name": "app"}, headers=headers).code == "still_running"
    assert len(api.call("GET", "/keys", key).json["items"]) == 1


def test_a_key_that_was_made_is_shown_though_the_audit_log_cannot_be_told(api):
    _, key = api.key("admin")
    api.is_audit_full = True
    answer = api.call("POST", "/keys", key, {"name": "app"})

    assert answer.status == 201
    assert answer.json["key"].startswith("hw-")
    assert any("does not know of key.created" in line for line in api.log)
    assert not any(answer.json["key"] in line for line in api.log)


def test_a_key_that_was_made_is_shown_though_its_repeat_cannot_be_noted(api, monkeypatch):
    _, key = api.key("admin")

    def fail(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(api.memory, "finish", fail)
    answer = api.call("POST", "/keys", key, {"name": "app"}, headers={b"idempotency-key": b"one"})
    assert (answer.status, answer.json["key"][:3]) == (201, "hw-")


@pytest.mark.parametrize("place", ["/keys/{}", "/calls/{}/content", "/nothing/{}", "/audit?who={}"])
def test_a_key_that_stands_where_its_id_belongs_comes_into_no_log(api, place):
    _, admin = api.key("admin")
    _, auditor = api.key("auditor")
    for secret in (api.key()[1], "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"):
        for key in (admin, auditor, NOBODY):
            api.call("GET", place.format(secret), key)

        api.executor.submit(int).result()
        assert api.recorded
        assert secret not in repr(api.recorded) + repr(api.log)


def test_a_key_comes_with_its_bounds(api):
    _, key = api.key("admin", expires_at=NOW_S + 60, networks=("10.0.0.0/8",))

    assert api.call("POST", "/keys", key, {"role": "admin", "networks": ["10.0.0.0/8"]}).status == 403
    assert api.call("POST", "/keys", key, {"role": "admin", "expires_at": at(NOW_S + 60)}).status == 403
    body = {"role": "admin", "networks": ["10.0.0.0/8"], "expires_at": at(NOW_S + 60)}
    assert api.call("POST", "/keys", key, body).status == 201


def at(moment_s):
    return datetime.fromtimestamp(moment_s, UTC).isoformat()
