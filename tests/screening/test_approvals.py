import contextlib
import itertools
import json
import random
import stat

import pytest

from headworks.errors import CommandError, StorageError
from headworks.screening import ApprovalStore, HeldAnswer, HeldCall, held_state

ARGUMENTS = '{"order": 8731, "amount": 27.5}'
USE = {"call_id": "call_1", "tool": "refund", "arguments": ARGUMENTS, "key_id": "key_1"}


@pytest.fixture
def store(tmp_path):
    store = ApprovalStore(tmp_path / "approvals.db")
    yield store
    store.close()


@pytest.fixture
def other_store(tmp_path, store):
    """The same file, as another process has it open."""
    other = ApprovalStore(tmp_path / "approvals.db")
    yield other
    other.close()


@pytest.fixture
def hold(store):
    numbers = itertools.count(1)

    def hold(*calls, now=100.0, expires_at=200.0, arguments=ARGUMENTS, key_id="key_1"):
        """Hold an answer with these tools' calls; the ids of their approvals, or the one id where there is one call."""
        call_id = f"call_{next(numbers)}"
        answer = HeldAnswer(call_id, "triage", key_id, "responses", now, expires_at, b"sealed answer")
        held = [HeldCall(tool, arguments, b"sealed arguments", expires_at) for tool in calls or ("refund",)]
        ids = store.hold(answer, held)
        return ids if len(calls) > 1 else ids[0]

    return hold


@pytest.fixture
def approved(store, hold):
    approval_id = hold()
    store.decide(approval_id, approve=True, by="ann", reason="checked", now=110.0)
    return approval_id


def use(store, *, now, **changes):
    wanted = USE | changes
    store.release(wanted["call_id"], [(wanted["tool"], wanted["arguments"])], key_id=wanted["key_id"], now=now)


def whats(store, approval_id):
    return [step.what for step in store.steps(approval_id)]


def test_a_held_call_is_approved_by_a_person_and_used_once(store, other_store, hold):
    approval_id = hold()
    assert [each.approval_id for each in other_store.pending(now=150.0)] == [approval_id]

    decided = other_store.decide(approval_id, approve=True, by="ann", reason="checked with the customer", now=110.0)
    use(store, now=120.0)
    used = store.get(approval_id)

    assert (decided.state, decided.decided_by, decided.decided_at) == ("approved", "ann", 110.0)
    assert (used.state, used.consumed_at, used.reason) == ("consumed", 120.0, "checked with the customer")
    assert (used.call_id, used.workload, used.tool, used.sealed) == ("call_1", "triage", "refund", b"sealed arguments")
    assert store.pending(now=150.0) == []


def test_every_step_is_kept_with_who_what_and_when(store, approved):
    use(store, now=120.0)

    assert [(step.at, step.by, step.what, step.detail) for step in store.steps(approved)] == [
        (100.0, "key_1", "held", "until 1970-01-01T00:03:20Z"),
        (110.0, "ann", "approved", "checked"),
        (120.0, "key_1", "consumed", ""),
    ]


def test_spelling_of_the_arguments_does_not_count(store, approved):
    use(store, arguments='{"amount":27.5,"order":8731}', now=120.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arguments": ARGUMENTS.replace("8731", "8732")}, "other arguments"),
        ({"arguments": ARGUMENTS.replace("27.5", "27.6")}, "other arguments"),
        ({"arguments": ARGUMENTS[:-1]}, "cannot be compared"),
        ({"arguments": '{"order": 8731, "order": 1, "amount": 27.5}'}, "cannot be compared"),
        ({"tool": "refunds"}, "another tool"),
        ({"now": 200.0}, "expired"),
        ({"key_id": "key_2"}, "another key"),
    ],
)
def test_an_approval_used_for_anything_else_is_refused_and_stays_good(store, approved, change, said):
    with pytest.raises(CommandError, match=said):
        use(store, **{"now": 120.0, **change})

    assert whats(store, approved) == ["held", "approved", "refused"]
    use(store, now=120.0)


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.long)])
def test_of_ten_thousand_forged_uses_none_is_accepted(store, approved, count):
    """H17: a byte of the arguments changed, another principal, another tool, too late, another answer."""
    rng = random.Random(17)
    meant = json.loads(ARGUMENTS)
    refused = 0
    while refused < count:
        at = rng.randrange(len(ARGUMENTS))
        forged = ARGUMENTS[:at] + chr(rng.randrange(32, 127)) + ARGUMENTS[at + 1 :]
        with contextlib.suppress(ValueError):
            if json.loads(forged) == meant:
                continue
        changes = [
            {"arguments": forged},
            {"key_id": f"key_{rng.randrange(2, 99)}"},
            {"tool": f"refund{rng.randrange(99)}"},
            {"now": 200.0 + rng.random()},
            {"call_id": f"call_{rng.randrange(2, 99)}"},
        ]
        with pytest.raises(CommandError):
            use(store, **{"now": 120.0, **rng.choice(changes)})
        refused += 1

    assert store.get(approved).consumed_at is None
    use(store, now=120.0)
    for _ in range(20):  # and what was used up is good for nothing else
        with pytest.raises(CommandError):
            use(store, now=121.0, arguments=ARGUMENTS.replace("8731", str(rng.randrange(1000, 8000))))


def test_an_approval_is_used_up_once_and_stays_so_for_the_same_calls(store, other_store, approved):
    use(store, now=120.0)
    use(other_store, now=121.0)

    assert store.get(approved).consumed_at == 120.0
    assert whats(store, approved) == ["held", "approved", "consumed"]


def test_an_answer_goes_out_when_all_of_its_calls_are_approved(store, hold):
    ids = hold("refund", "mail")
    calls = [("refund", ARGUMENTS), ("mail", ARGUMENTS)]
    store.decide(ids[0], approve=True, by="ann", reason="", now=110.0)
    answer, approvals = store.held("call_1", "key_1")
    assert (answer.sealed, [each.tool for each in approvals]) == (b"sealed answer", ["refund", "mail"])
    assert held_state(approvals, 120.0) == "pending"
    with pytest.raises(CommandError, match="pending"):
        store.release("call_1", calls, key_id="key_1", now=120.0)

    store.decide(ids[1], approve=True, by="ann", reason="", now=111.0)
    assert held_state(store.held("call_1", "key_1")[1], 120.0) == "approved"
    with pytest.raises(CommandError, match="holds 2 calls, and 1 were"):
        store.release("call_1", calls[:1], key_id="key_1", now=120.0)
    store.release("call_1", calls, key_id="key_1", now=120.0)
    assert [each.state for each in store.held("call_1", "key_1")[1]] == ["consumed", "consumed"]


@pytest.mark.parametrize(("approve", "now", "state"), [(False, 120.0, "denied"), (True, 200.0, "expired")])
def test_one_that_is_denied_or_late_keeps_the_whole_answer(store, hold, approve, now, state):
    ids = hold("refund", "mail")
    store.decide(ids[1], approve=True, by="ann", reason="", now=110.0)
    store.decide(ids[0], approve=approve, by="ann", reason="", now=110.0)

    assert held_state(store.held("call_1", "key_1")[1], now) == state


def test_what_a_key_has_held_is_nobody_elses(store, hold):
    hold()
    assert store.held("call_1", "key_2") is None
    assert store.held("call_2", "key_1") is None


def test_what_was_held_is_removed_when_its_time_is_over_and_the_audit_stays(store, hold):
    over, open_ = hold(expires_at=150.0), hold(expires_at=300.0)

    assert store.purge(160.0) == 1
    assert store.purge(160.0) == 0
    assert (store.get(over).sealed, store.held("call_1", "key_1")[0].sealed) == (b"", b"")
    assert (store.get(open_).sealed, store.held("call_2", "key_1")[0].sealed) == (b"sealed arguments", b"sealed answer")
    assert whats(store, over) == ["held"]


def test_the_newest_are_listed_first_whatever_has_become_of_them(store, hold, approved):
    later = hold(now=105.0)
    assert [each.approval_id for each in store.recent(5)] == [later, approved]
    assert [each.approval_id for each in store.recent(1)] == [later]


def test_the_beginning_of_an_id_is_enough_while_it_is_unique(store, hold):
    first, _ = hold(), hold()
    assert store.get(first[:20]).approval_id == first
    assert store.decide(first[:20], approve=True, by="ann", reason="", now=110.0).approval_id == first
    with pytest.raises(CommandError, match="more than one"):
        store.get("appr_")
    with pytest.raises(CommandError, match="there is no approval ''"):
        store.get("")


@pytest.mark.parametrize("is_denied", [True, False])
def test_what_is_not_approved_cannot_be_used(store, hold, is_denied):
    approval_id = hold()
    if is_denied:
        store.decide(approval_id, approve=False, by="ann", reason="no", now=110.0)

    with pytest.raises(CommandError, match="denied" if is_denied else "pending"):
        use(store, now=120.0)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_a_decision_is_made_once(store, hold, first, second):
    approval_id = hold()
    decided = store.decide(approval_id, approve=first, by="ann", reason="", now=110.0)

    with pytest.raises(CommandError, match="already, by ann"):
        store.decide(approval_id, approve=second, by="bob", reason="", now=111.0)
    assert store.get(approval_id) == decided
    assert [(step.by, step.what) for step in store.steps(approval_id)][-1] == ("bob", "refused")


def test_nothing_is_decided_after_its_time_nor_without_a_name(store, hold):
    approval_id = hold()

    with pytest.raises(CommandError, match="expired"):
        store.decide(approval_id, approve=True, by="ann", reason="", now=200.0)
    with pytest.raises(CommandError, match="who decides"):
        store.decide(approval_id, approve=True, by="", reason="", now=110.0)
    assert store.get(approval_id).state == "pending"


def test_pending_are_those_that_can_still_be_decided_the_oldest_first(store, hold, approved):
    late, early, over = hold(now=103.0), hold(now=102.0), hold(now=101.0, expires_at=150.0)

    assert [each.approval_id for each in store.pending(now=120.0)] == [over, early, late]
    assert [each.approval_id for each in store.pending(now=150.0)] == [early, late]


def test_an_unknown_approval_is_named(store):
    for act in (
        lambda: store.get("appr_none"),
        lambda: store.decide("appr_none", approve=True, by="ann", reason="", now=1.0),
    ):
        with pytest.raises(CommandError, match="there is no approval 'appr_none'"):
            act()


def test_arguments_that_could_mean_two_things_are_not_held(store, hold):
    with pytest.raises(CommandError):
        hold(arguments='{"a": 1, "a": 2}')
    assert store.pending(now=100.0) == []


def test_ids_are_long_and_random(hold):
    assert len({hold() for _ in range(20)}) == 20
    assert len(hold()) == len("appr_") + 32


def test_only_its_owner_can_read_the_file_and_a_file_that_is_none_is_named(tmp_path, store):
    assert stat.S_IMODE((tmp_path / "approvals.db").stat().st_mode) == 0o600
    (tmp_path / "text.db").write_text("not a database, and long enough for SQLite to see that it is none" * 20)
    with pytest.raises(StorageError, match=r"text\.db"):
        ApprovalStore(tmp_path / "text.db")
