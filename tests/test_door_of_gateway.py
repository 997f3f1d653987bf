"""From where a call comes, as the gateway asks it."""

import pytest

from headworks.access import Door, Grant
from headworks.calls import Caller, Settled
from headworks.errors import Refusal
from headworks.exchange import Request


class Seen:
    def __init__(self):
        self.events = []

    def used(self, *what):
        self.events.append(("used", *what))

    def refused(self, *what):
        self.events.append(("refused", *what))


def request(key=b"Bearer good", peer="192.0.2.7", **headers):
    given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request("GET", "/v1/models", "", {b"authorization": key} | given, peer=peer)


def status(hall, asked):
    try:
        hall.gateway.admit(asked)
    except Refusal as refusal:
        return refusal.status
    return 200


def test_a_key_with_networks_is_refused_from_elsewhere_and_the_record_says_whose_it_was(hall):
    seen = Seen()
    hall.make(sightings=seen)
    hall.ring.grant = Grant(Caller("key_1", "ann"), networks=["10.0.0.0/8"])

    asked = request()
    with pytest.raises(Refusal) as raised:
        hall.gateway.admit(asked)
    hall.gateway.refuse(raised.value, asked, Quiet())

    assert raised.value.code == "address_not_allowed"
    assert hall.settled.opened.key_id == "key_1"
    assert seen.events == [("refused", "address_not_allowed", "192.0.2.7", "models", "key_1")]
    assert status(hall, request(peer="10.1.1.1")) == 200


def test_a_request_that_is_like_one_before_still_comes_from_there_when_the_keys_have_changed(hall):
    hall.ring.grant = Grant(Caller("key_1"), networks=["192.0.2.0/24"])
    asked = request()
    hall.gateway.admit(asked)

    hall.ring.edition = object()
    assert status(hall, asked.again(b"")) == 200

    seen = Seen()
    hall.make(sightings=seen)
    hall.ring.edition, hall.ring.grant = object(), Grant(Caller("key_1"), networks=["10.0.0.0/8"])
    again = asked.again(b"")
    with pytest.raises(Refusal) as raised:
        hall.gateway.admit(again)
    hall.gateway.refuse(raised.value, again, Quiet())
    assert seen.events == [("refused", "address_not_allowed", "192.0.2.7", "models", "key_1")]


def test_bad_keys_are_answered_429_after_a_while_and_good_ones_are_taken_from_the_same_address(hall):
    hall.make(door=Door(tries=2))

    assert [status(hall, request(b"Bearer bad")) for _ in range(4)] == [401, 401, 429, 429]
    assert status(hall, request(b"Bearer bad", peer="192.0.2.8")) == 401
    assert status(hall, request()) == 200


def test_no_key_at_all_is_no_bad_key(hall):
    hall.make(door=Door(tries=1))
    assert {status(hall, request(b"")) for _ in range(5)} == {401}


class Quiet:
    def respond(self, status, headers, body):
        """Nobody listens."""


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("198.51.100.4", b"203.0.113.9", "198.51.100.4"),  # nobody trusts it
        ("192.0.2.7", b"203.0.113.9", "203.0.113.9"),
        ("192.0.2.7", b"10.9.9.9, 203.0.113.9, 192.0.2.1", "203.0.113.9"),  # what the caller wrote itself is left of it
        ("192.0.2.7", b"not an address", ""),
    ],
)
def test_each_call_says_from_where_it_came_behind_trusted_proxies(hall, peer, forwarded, source):
    hall.make(sightings=Seen(), door=Door(["192.0.2.0/24"]))
    asked = request(peer=peer, x_forwarded_for=forwarded)
    hall.gateway.admit(asked)
    for one in (asked, asked.again(b"")):
        hall.gateway.handle(one, Quiet())
    assert [entry.opened.source for entry in hall.entries() if isinstance(entry, Settled)] == [source, source]


def test_where_there_is_no_audit_log_no_address_is_kept(hall):
    asked = request()
    hall.gateway.admit(asked)
    hall.gateway.handle(asked, Quiet())
    assert hall.settled.opened.source == ""
