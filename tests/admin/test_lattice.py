"""Nobody comes to more than they were given, whatever they ask for, in whichever order."""

import random

import pytest

from headworks.access import KeyRecord, Organisations, Right, Role
from headworks.access.networks import Networks
from headworks.calls import Endpoint
from tests.admin.conftest import NOW_S

ORGANISATIONS = Organisations({"acme": ["search", "support"], "globex": ["billing"]})
PLACES = ("acme", "globex", "")
TEAMS = ("", "search", "support", "billing", "gone")
NETWORKS = ((), ("10.0.0.0/8",), ("10.1.0.0/16",), ("10.0.0.0/8", "10.1.0.0/16"), ("0.0.0.0/0",))
ENDS = (None, "2026-11-23T12:10:00Z", "2026-12-01T00:00:00Z")
PEER = "10.1.2.3"  # in every one of the networks


def powers(record):
    """What a key may do at the admin API, and to whose."""
    grant = ORGANISATIONS.grant_of_key(record.role, record.team, record.organisation)
    if grant is None:
        return frozenset()
    found = {(right, place) for right in Right if grant.has(right) for place in PLACES}
    return frozenset(one for one in found if grant.organisation in (None, one[1]))


def is_within(made, maker):
    """Whether a key may do no more, for no longer and from nowhere else than the one that has made it."""
    if Endpoint.APPROVALS in made.endpoints and (Right.DECIDE_APPROVALS, "") not in powers(maker):
        return False
    if made.role is Role.CALLER:
        return True  # it opens nothing here
    lasts = maker.expires_at is None or (made.expires_at is not None and made.expires_at <= maker.expires_at)
    near = not maker.networks or Networks(maker.networks).covers(made.networks)
    return powers(made) <= powers(maker) and lasts and near


class World:
    """Keys that make, change and rotate keys at random. State: each key by its id, and its record."""

    def __init__(self, api, seed):
        self.api, self.chance, self.keys = api, random.Random(seed), {}
        for role, team, fields in (
            ("admin", "", {}), ("admin", "search", {}), ("admin", "billing", {"networks": ("10.0.0.0/8",)}),
            ("admin", "", {"expires_at": NOW_S + 3600}), ("operator", "", {}), ("auditor", "support", {}),
            ("auditor", "", {"networks": ("10.0.0.0/8",)}), ("caller", "search", {}), ("analyst", "", {}),
        ):  # fmt: skip
            record, key = api.key(role, team, **fields)
            self.keys[record.key_id] = key
        self.admins = [key_id for key_id in self.keys if self.record(key_id).role is Role.ADMIN]
        self.made = self.refused = 0

    def record(self, key_id):
        with self.api.shell.keys() as store:
            return store.get(key_id)

    def step(self):
        pick = self.chance.choice
        others = self.chance.random() < 0.1  # who may make no keys is soon told
        actor, target = pick(list(self.keys) if others else self.admins), pick(list(self.keys))
        before = self.record(actor), self.record(target)
        fields = {"networks": pick(NETWORKS)}
        match pick(("create", "create", "rotate", "change")):
            case "create":
                fields |= {"role": pick(list(Role)), "team": pick(TEAMS), "expires_at": pick(ENDS)}
                if fields["role"] is Role.CALLER:  # others have none
                    fields["endpoints"] = pick(((), ("approvals",), ("responses", "approvals"), ("responses",)))
                answer = self._ask("POST", "/keys", actor, fields)
            case "rotate":
                body = {"overlap_s": 31_536_000, "expires_at": pick(ENDS)}
                answer = self._ask("POST", f"/keys/{target}/rotate", actor, body)
            case _:
                answer = self._ask("PATCH", f"/keys/{target}", actor, fields)
        self._judge(answer, *before)

    def _ask(self, method, path, actor, body):
        self.api.clock.now_s += 60.0  # nobody is too fast
        return self.api.call(method, path, self.keys[actor], body, peer=PEER)

    def _judge(self, answer, actor, target):
        if answer.status >= 400:
            self.refused += 1
            assert answer.status < 500, answer.body
            return
        self.made += 1
        shown = answer.json.get("record", answer.json)
        now = self.record(shown["key_id"])
        if now.key_id == target.key_id:  # changed: it may do what it could, and from where who has changed it may be
            assert (now.role, now.team, now.organisation, now.endpoints, now.expires_at) == (
                target.role, target.team, target.organisation, target.endpoints, target.expires_at,
            )  # fmt: skip
            assert now.role is Role.CALLER or not actor.networks or Networks(actor.networks).covers(now.networks)
            return
        assert is_within(now, actor), (actor, now)
        self.keys[now.key_id] = answer.json["key"]
        if now.role is Role.ADMIN:
            self.admins.append(now.key_id)


@pytest.mark.parametrize(
    ("seed", "steps"), [(1, 200), *(pytest.param(seed, 2_500, marks=pytest.mark.long) for seed in range(4))]
)
def test_no_key_does_more_than_the_one_that_has_made_it(api, seed, steps):
    world = World(api, seed)
    for _ in range(steps):
        world.step()

    assert world.made > steps / 10
    assert world.refused > steps / 5


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.CALLER])
def test_what_is_not_there_to_be_set_is_set_by_nobody(api, role):
    _, key = api.key(role)
    record, _ = api.key("caller", "search")
    for name in (*KeyRecord.__struct_fields__, "grants", "user_role", "allowed_routes", "rights", "is_admin"):
        for method, path, taken in (
            ("POST", "/keys", ("name", "owner", "team", "role", "models", "endpoints", "networks", "limits", "budget",
                               "priority", "expires_at")),
            ("PATCH", f"/keys/{record.key_id}", ("limits", "budget", "priority", "networks")),
        ):  # fmt: skip
            if name in taken:
                continue
            answer = api.call(method, path, key, {name: "admin"})
            assert answer.status in (400, 403), (name, answer.body)
            api.clock.now_s += 60.0
    with api.shell.keys() as store:
        assert store.get(record.key_id) == record
