import pytest

from headworks.access import Door, Grant, WrongNetwork
from headworks.access.lockout import MOST_ADDRESSES, Lockout
from headworks.access.networks import parse_address
from headworks.calls import Caller
from headworks.errors import Refusal

ADDRESS = parse_address("192.0.2.7")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lockout(clock):
    return Lockout(3, 60.0, 30.0, clock)


def locked_s(lockout, address=ADDRESS):
    """Seconds to wait after a bad key from there; 0 where it is not locked out."""
    try:
        lockout.note(address)
    except Refusal as refusal:
        headers = dict(refusal.headers)
        is_right = (refusal.status, refusal.code, headers["x-should-retry"]) == (429, "too_many_bad_keys", "false")
        return int(headers["retry-after"]) if is_right else -1
    return 0


def test_an_address_is_locked_out_after_so_many_bad_keys_and_told_for_how_long(lockout, clock):
    assert [locked_s(lockout) for _ in range(4)] == [0, 0, 0, 30]

    clock.now += 10.5
    assert locked_s(lockout) == 20
    assert locked_s(lockout, parse_address("192.0.2.8")) == 0


def test_a_lock_out_ends_when_it_said_so_whatever_came_meanwhile(lockout, clock):
    for _ in range(9):
        locked_s(lockout)
        clock.now += 2.0

    clock.now += 30.0
    assert [locked_s(lockout) for _ in range(4)] == [0, 0, 0, 30]


def test_bad_keys_that_are_far_apart_are_forgotten(lockout, clock):
    for _ in range(10):
        assert locked_s(lockout) == 0
        clock.now += 30.0


def test_the_addresses_of_one_site_are_one(lockout):
    sent = [locked_s(lockout, parse_address(f"2001:db8::{host}")) for host in range(1, 5)]

    assert sent == [0, 0, 0, 30]
    assert locked_s(lockout, parse_address("2001:db8:0:1::1")) == 0


def test_no_tries_means_that_nobody_is_locked_out(clock):
    assert {locked_s(Lockout(0, 60.0, 60.0, clock)) for _ in range(50)} == {0}


def test_however_many_addresses_come_a_bounded_number_is_remembered(lockout):
    for number in range(MOST_ADDRESSES + 50):
        lockout.note(parse_address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))

    assert len(lockout._addresses) == MOST_ADDRESSES


def test_a_key_is_good_only_from_its_networks():
    door, grant = Door(), Grant(Caller("key_1"), networks=["192.0.2.0/24", "2001:db8::/32"])

    door.check(grant, "192.0.2.7", {})
    door.check(grant, "2001:db8::1", {})
    door.check(Grant(Caller("key_2")), "", {})
    for elsewhere in ("198.51.100.1", ""):
        with pytest.raises(WrongNetwork) as raised:
            door.check(grant, elsewhere, {b"x-forwarded-for": b"192.0.2.7"})
        assert (raised.value.status, raised.value.caller.key_id) == (403, "key_1")


def test_behind_a_trusted_proxy_it_is_the_caller_who_counts():
    door = Door(["10.0.0.1"], tries=1)
    grant = Grant(Caller("key_1"), networks=["192.0.2.0/24"])
    door.check(grant, "10.0.0.1", {b"x-forwarded-for": b"198.51.100.1, 192.0.2.7"})

    assert door.origin("10.0.0.1", {b"x-forwarded-for": b"192.0.2.7"}) == "192.0.2.7"
    assert door.origin("10.0.0.1", {b"x-forwarded-for": b"?"}) == ""
    door.note_bad_key("10.0.0.1", {b"x-forwarded-for": b"192.0.2.7"})
    door.note_bad_key("10.0.0.1", {b"x-forwarded-for": b"192.0.2.8"})
    with pytest.raises(Refusal):
        door.note_bad_key("10.0.0.1", {b"x-forwarded-for": b"192.0.2.7"})
