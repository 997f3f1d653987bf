"""From where keys are used is told once an hour for each address."""

from headworks.errors import StorageError
from headworks.sightings import AGAIN_S, MOST, Sightings


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def told(events) -> list[tuple[str, str, str]]:
    return [(event.action, event.actor, event.origin) for event in events]


def test_each_key_and_address_is_told_once_an_hour():
    events, clock = [], Clock()
    sightings = Sightings(events.append, lambda: True, clock)
    for _ in range(3):
        sightings.used("key_1", "10.0.0.1")
        sightings.used("key_1", "10.0.0.2")
        sightings.refused("invalid_api_key", "10.0.0.1", "responses")
    assert told(events) == [
        ("key.used", "key_1", "10.0.0.1"),
        ("key.used", "key_1", "10.0.0.2"),
        ("access.refused", "", "10.0.0.1"),
    ]
    assert (events[2].outcome, events[2].detail) == ("refused", '{"code":"invalid_api_key"}')
    clock.now_s += AGAIN_S
    sightings.used("key_1", "10.0.0.1")
    assert len(events) == 4


def test_a_good_key_in_a_wrong_place_is_told_by_its_name():
    events = []
    sightings = Sightings(events.append, lambda: True, Clock())
    for key in ("key_1", "key_2", "key_1"):
        sightings.refused("address_not_allowed", "10.0.0.1", "responses", key)
    assert told(events) == [("access.refused", key, "10.0.0.1") for key in ("key_1", "key_2")]


def test_callers_cannot_fill_the_memory_with_addresses():
    events = []
    sightings = Sightings(events.append, lambda: True, Clock())
    for number in range(MOST + 5):
        sightings.used("key_1", str(number))
    assert len(sightings._told) <= MOST
    assert len(events) == MOST + 5


def test_what_could_not_be_written_is_told_with_the_next():
    events, fails, clock = [], [True], Clock()

    def append(event):
        if fails:
            raise StorageError("full")
        events.append(event)

    sightings = Sightings(append, lambda: True, clock)
    sightings.used("key_1", "10.0.0.1")
    fails.clear()
    sightings.used("key_1", "10.0.0.1")
    assert len(events) == 1
    full = Sightings(events.append, lambda: False, clock)
    full.used("key_1", "10.0.0.1")
    assert len(events) == 1
