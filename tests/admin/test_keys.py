import msgspec
import pytest

from headworks.access import Change, Principal, Role
from headworks.admin import Forbidden
from headworks.admin.keys import NewKey, change_key, get_key, key_state, list_keys, make_key, revoke_key, rotate_key
from headworks.calls import Budget, Endpoint, Limits
from headworks.errors import CommandError, OutOfDate, UnknownName
from tests.admin.conftest import NOW_S, grants


@pytest.fixture
def keys(desk):
    """A key of each of three teams, and one of none, by team."""
    return {team: make_key(desk("admin"), NewKey(name=team, team=team))[0] for team in ("search", "billing", "")}


def test_what_is_made_is_told_with_who_it_is_for_and_never_with_the_key(desk, told):
    record, key = make_key(desk("admin"), NewKey(name="app", owner="ann", team="search"))

    detail = {"name": "app", "owner": "ann", "team": "search", "role": "caller"}
    assert told == [("key.created", record.key_id, detail, "done")]
    assert key not in repr(told)


def test_an_admin_of_one_organisation_sees_and_changes_its_keys_only(desk, keys, told):
    ann = desk("admin", where="acme")
    told.clear()

    assert [record.key_id for record in list_keys(ann)] == [keys["search"].key_id]
    for other in (keys["billing"].key_id, keys[""].key_id):
        for act in (
            lambda key_id: get_key(ann, key_id),
            lambda key_id: revoke_key(ann, key_id),
            lambda key_id: change_key(ann, key_id, Change(limits=Limits(1))),
            lambda key_id: rotate_key(ann, key_id, overlap_s=0.0),
        ):
            with pytest.raises(UnknownName) as refused:
                act(other)
            with pytest.raises(UnknownName) as missing:
                act("key_nobody")
            assert str(refused.value).replace(other, "key_nobody") == str(missing.value)
    assert told == []
    assert revoke_key(ann, keys["search"].key_id).revoked_at is not None


@pytest.mark.parametrize("team", ["billing", "", "elsewhere"])
def test_an_admin_of_one_organisation_makes_no_keys_outside_of_it(desk, team):
    with pytest.raises(Forbidden, match="right keys"):
        make_key(desk("admin", where="acme"), NewKey(team=team))


def test_a_key_with_a_role_is_made_by_who_may_do_as_much(desk):
    assert make_key(desk("admin"), NewKey(role=Role.OPERATOR))[0].role is Role.OPERATOR
    assert make_key(desk("admin", where="acme"), NewKey(team="search", role=Role.ADMIN))[0].role is Role.ADMIN
    with pytest.raises(Forbidden, match="auditor could do what you may not"):
        make_key(desk("admin"), NewKey(role=Role.AUDITOR))
    make_key(desk("admin", "auditor"), NewKey(role=Role.AUDITOR))


def test_nobody_comes_by_a_greater_role_by_rotating_its_key(desk):
    record, _ = make_key(desk("admin", "auditor"), NewKey(role=Role.AUDITOR))

    with pytest.raises(Forbidden):
        rotate_key(desk("admin"), record.key_id, overlap_s=0.0)
    fresh, _, _ = rotate_key(desk("admin", "auditor"), record.key_id, overlap_s=0.0)
    assert fresh.role is Role.AUDITOR


def test_a_key_that_decides_everybodys_approvals_is_made_by_who_may_decide_them(desk):
    record, _ = make_key(desk("admin"), NewKey(team="search", endpoints=(Endpoint.APPROVALS,)))

    ann = desk("admin", where="acme")
    with pytest.raises(Forbidden, match="whole installation"):
        make_key(ann, NewKey(team="search", endpoints=(Endpoint.CHAT, Endpoint.APPROVALS)))
    with pytest.raises(Forbidden, match="whole installation"):
        rotate_key(ann, record.key_id, overlap_s=0.0)


def test_a_key_that_ends_or_is_bound_to_networks_gives_no_role_beyond_that(desk, keys):
    record, _ = make_key(desk("admin"), NewKey(role=Role.ADMIN, expires_at=NOW_S + 60, networks=("10.1.0.0/16",)))
    one = desk("admin")
    one.principal = Principal(record.key_id, "", "key", grants("admin"), record.expires_at, record.networks)
    near = NewKey(role=Role.ADMIN, expires_at=NOW_S + 60, networks=("10.1.2.0/24", "10.1.9.9"))

    for act in (
        lambda: make_key(one, msgspec.structs.replace(near, expires_at=None)),
        lambda: make_key(one, msgspec.structs.replace(near, expires_at=NOW_S + 61)),
        lambda: make_key(one, msgspec.structs.replace(near, networks=())),
        lambda: make_key(one, msgspec.structs.replace(near, networks=("10.1.2.0/24", "10.0.0.0/8"))),
        lambda: make_key(one, msgspec.structs.replace(near, networks=("2001:db8::/32",))),
        lambda: rotate_key(one, record.key_id, overlap_s=0.0, expires_at=NOW_S + 61),
        lambda: change_key(one, record.key_id, Change(networks=())),
    ):
        with pytest.raises(Forbidden, match="a key with a role"):
            act()
    make_key(one, near)
    make_key(one, NewKey(team="search"))
    change_key(one, keys["search"].key_id, Change(networks=()))
    change_key(one, record.key_id, Change(networks=("10.1.2.0/24",)))
    assert rotate_key(one, record.key_id, overlap_s=0.0)[0].expires_at == NOW_S + 60


def test_a_key_that_could_do_nothing_is_not_made(desk):
    with pytest.raises(CommandError, match="leave out the endpoints"):
        make_key(desk("admin"), NewKey(role=Role.ADMIN, endpoints=(Endpoint.CHAT,)))
    with pytest.raises(CommandError, match="in no organisation"):
        make_key(desk("admin"), NewKey(role=Role.ADMIN, team="elsewhere"))
    make_key(desk("admin"), NewKey(team="elsewhere"))


@pytest.mark.parametrize("role", ["analyst", "caller"])
def test_who_may_not_see_keys_does_not_even_learn_which_there_are(desk, keys, role):
    for ask in (list_keys, lambda one: get_key(one, keys["search"].key_id)):
        with pytest.raises(Forbidden, match="right keys"):
            ask(desk(role))


def test_an_operator_revokes_and_budgets_keys_and_makes_none(desk, keys):
    one, key_id = desk("operator"), keys["search"].key_id

    assert change_key(one, key_id, Change(budget=Budget(day_pico=1))).budget == Budget(day_pico=1)
    for act in (
        lambda: make_key(one, NewKey()),
        lambda: rotate_key(one, key_id, overlap_s=0.0),
        lambda: change_key(one, key_id, Change(limits=Limits(1))),
        lambda: change_key(one, key_id, Change(networks=(), budget=Budget(day_pico=9))),
    ):
        with pytest.raises(Forbidden):
            act()
    assert get_key(one, key_id).budget == Budget(day_pico=1)
    revoke_key(one, key_id)


def test_who_may_change_nothing_does_not_come_into_the_audit_log_as_having_changed_something(desk, keys, told):
    told.clear()

    for role in ("auditor", "operator"):
        with pytest.raises(Forbidden):
            change_key(desk(role), keys["search"].key_id, Change())
    assert told == []


def test_a_change_that_comes_too_late_is_refused(desk, keys):
    old = keys["search"]
    change_key(desk("admin"), old.key_id, Change(priority=0), revision=old.revision)

    with pytest.raises(OutOfDate):
        change_key(desk("admin"), old.key_id, Change(priority=2), revision=old.revision)


def test_the_state_of_a_key_is_one_word(desk, keys):
    record = keys["search"]

    assert key_state(record, now=0.0, under=record.secret_id) == "good"
    assert key_state(record, now=0.0, under="other") == "other secret"
    assert key_state(revoke_key(desk("admin"), record.key_id), now=0.0, under=record.secret_id) == "revoked"
