"""What belongs to one organisation is not shown to who has a role in another only: over the API, for each kind."""

import pytest

from headworks.calls import Endpoint, Opened, Settled
from headworks.dialects.canonical import AnswerCall
from headworks.holding import HeldAnswers
from headworks.limits.budgets import Account
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.records import Batch, open_store
from headworks.records.content import ContentVault
from headworks.screening import APPROVALS_FILE
from tests.admin.conftest import NOW_S

NOW_US = int(NOW_S * 1e6)
TEAMS = ("search", "billing", "")
OF = {"": "", "search": "acme", "billing": "globex"}


@pytest.fixture
def keys(api):
    """A caller's key of each team, by team."""
    return {team: api.key(team=team)[0].key_id for team in TEAMS}


@pytest.fixture
def filled(api, keys):
    """A call, a budget and a held call of each team's key; returns the ids of the held calls by team."""
    api.now.now_s = NOW_S + 60
    store = open_store(api.project.storage, "")
    settled = [
        Settled(
            Opened(
                f"call_{team or 'none'}",
                NOW_US + number,
                "chat.completions",
                "nano",
                keys[team],
                "ann",
                team,
                provider="sim",
                model="m",
            ),
            "answered",
            200,
            1000,
            input_tokens=100,
            output_tokens=20,
            usage_source="provider",
            request_body=f"planted-{team}".encode(),
            cost_pico=1_500_000_000_000,
        )
        for number, team in enumerate(TEAMS)
    ]
    store.commit(Batch(settled=settled))
    store.close()
    ledger = SqliteLedger(api.project.storage)
    names = [f"key/{keys[team]}" for team in TEAMS] + ["team/search", "team/billing", "workload/triage"]
    for name in names:
        account = Account(f"{name}/day/2026-11-23", 10**13, True, (80,), NOW_US - 1000, NOW_US + 10**11)
        ledger.write(lambda account=account: ledger.open_account(account, 25 * 10**11))
    ledger.close()
    answers = HeldAnswers(api.project.storage / APPROVALS_FILE, ContentVault(api.secret), now=api.now)
    call = AnswerCall("function", "c1", "refund", '{"order": 1}')
    return {
        team: answers.hold(f"call_{number}", "triage", keys[team], Endpoint.RESPONSES, b"{}", [(call, 600.0)])
        .approvals[0]
        .approval_id
        for number, team in enumerate(TEAMS)
    }


WHERE = [("search", {"search"}), ("billing", {"billing"}), ("", set(TEAMS))]


@pytest.mark.parametrize(("where", "reached"), WHERE)
def test_calls(api, filled, where, reached):
    _, key = api.key("admin", where)
    found = api.call("GET", "/calls", key).json["items"]

    assert {one["team"] for one in found} == reached
    assert {one["cost_usd"] for one in found} == {"1.5"}
    sums = api.call("GET", "/calls/totals?by=model", key).json["items"]
    assert sum(one["calls"] for one in sums) == len(reached)
    for team in TEAMS:
        path = f"/calls/call_{team or 'none'}"
        shown, content = api.call("GET", path, key), api.call("GET", f"{path}/content", key)
        assert (shown.status, content.status) == ((200, 200) if team in reached else (404, 404))
        assert (f"planted-{team}" in content.body.decode()) == (team in reached)
        assert b"planted" not in shown.body
    assert api.call("GET", "/calls?team=billing", key).json["items"] == [
        one for one in found if one["team"] == "billing"
    ]


def test_content_is_for_who_may_read_it_and_each_look_is_told(api, filled):
    _, analyst = api.key("analyst")
    _, operator = api.key("operator")
    auditor, key = api.key("auditor")

    assert [api.call("GET", "/calls/call_search/content", one).status for one in (analyst, operator)] == [403, 403]
    assert api.call("GET", "/calls/call_search/content", key).json["request"] == "planted-search"
    assert api.recorded[-1][:4] == ("content.read", auditor.key_id, "10.0.0.1", "call_search")
    api.is_audit_full = True
    answer = api.call("GET", "/calls/call_search/content", key)
    assert (answer.status, b"planted" in answer.body) == (503, False)


@pytest.mark.parametrize(("where", "reached"), WHERE)
def test_budgets(api, keys, filled, where, reached):
    _, key = api.key("operator", where)
    found = {(one["of"], one["name"]) for one in api.call("GET", "/budgets", key).json["items"]}

    expected = {("key", keys[team]) for team in reached} | {("team", team) for team in reached if team}
    assert found == (expected if where else expected | {("workload", "triage")})
    assert api.call("POST", "/budgets/release", key).status == (403 if where else 200)


@pytest.mark.parametrize(("where", "reached"), WHERE)
def test_limits(api, filled, where, reached):
    _, key = api.key("analyst", where)
    found = {one["of"] for one in api.call("GET", "/limits", key).json["items"]}

    assert ("team/search" in found) == ("search" in reached)
    assert any(one.startswith("target/") for one in found) == (not where)


@pytest.mark.parametrize(("where", "reached"), WHERE)
def test_teams(api, where, reached):
    _, key = api.key("analyst", where)
    found = {one["name"]: one["organisation"] for one in api.call("GET", "/teams", key).json["items"]}

    items = {one["name"]: one for one in api.call("GET", "/teams", key).json["items"]}
    if "search" in reached:
        assert items["search"]["budget"] == {"day_usd": "5", "month_usd": None, "mode": "tell", "alert_at": [80, 100]}
    assert set(found.values()) == ({OF[where]} if where else {"acme", "globex"})
    assert ("billing" in found) == ("billing" in reached)


@pytest.mark.parametrize(("where", "reached"), WHERE)
def test_approvals(api, filled, where, reached):
    _, key = api.key("operator", where)
    found = {one["id"] for one in api.call("GET", "/approvals", key).json["items"]}

    assert found == {filled[team] for team in reached}
    for team in TEAMS:
        path = f"/approvals/{filled[team]}"
        assert api.call("GET", path, key).status == (200 if team in reached else 404)
        answer = api.call("POST", f"{path}/decision", key, {"approve": True})
        assert answer.status == (200 if team in reached else 404)
        again = api.call("POST", f"{path}/decision", key, {"approve": False})
        assert again.status == (409 if team in reached else 404)
    assert sum(one[0] == "approval.approved" for one in api.recorded) == len(reached)


def test_who_has_a_role_that_may_not_decide_does_not(api, filled):
    _, key = api.key("auditor")
    answer = api.call("POST", f"/approvals/{filled['search']}/decision", key, {"approve": True})

    assert (answer.status, answer.code) == (403, "role_not_allowed")
