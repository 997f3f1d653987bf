"""A target's health: its breaker, its rest, its retry budget."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headworks.calls import FailureKind
from headworks.routing.breaker import BUSY_CALLS, FAILURES_IN_A_ROW, FAILURES_OF_BUSY, FIRST_OPEN_S, MOST_OPEN_S
from headworks.routing.health import COUNTED, LEAST_CALLS, BreakerState, Health
from headworks.routing.retrying import LATEST_FAILURES, RETRIES_IN_WINDOW, RETRY_RATIO, WINDOW_S


def healthy(**options):
    return Health(lambda most: most, **options)


def fail(health, now_s, kind=FailureKind.ERROR, *, is_streamed=False, **options):
    health.begin(now_s, is_streamed)
    health.failed(now_s, kind, is_streamed=is_streamed, **options)


def pass_(health, now_s, took_s=0.1, *, is_streamed=False):
    health.begin(now_s, is_streamed)
    health.succeeded(now_s, took_s, is_streamed)


def opened(now_s=0.0):
    health = healthy()
    for _ in range(FAILURES_IN_A_ROW):
        fail(health, now_s)
    return health


def test_failures_in_a_row_open_it_and_good_probes_close_it():
    health = opened()
    assert not health.may_pass(FIRST_OPEN_S - 0.01)
    assert health.view(1.0).state is BreakerState.OPEN
    assert health.waits_s(1.0) == pytest.approx(FIRST_OPEN_S - 1.0)

    assert health.may_pass(FIRST_OPEN_S)
    health.begin(FIRST_OPEN_S)
    assert not health.may_pass(FIRST_OPEN_S)  # one probe at a time
    assert health.view(FIRST_OPEN_S).state is BreakerState.HALF_OPEN
    health.succeeded(FIRST_OPEN_S + 1, 0.1)
    pass_(health, FIRST_OPEN_S + 1)
    assert health.view(FIRST_OPEN_S + 1).state is BreakerState.CLOSED
    fail(health, FIRST_OPEN_S + 1)
    assert health.may_pass(FIRST_OPEN_S + 1)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound():
    health, now_s, last_s = opened(), 0.0, 0.0
    for _ in range(10):
        last_s = health.waits_s(now_s)
        now_s += last_s
        fail(health, now_s)
    assert health.waits_s(now_s) == pytest.approx(MOST_OPEN_S)
    assert last_s <= MOST_OPEN_S


def test_half_of_many_calls_failing_opens_it_and_less_does_not():
    health = healthy()
    for number in range(100):
        (fail if number % 3 == 0 else pass_)(health, number * 0.01)
    assert health.may_pass(1.0)
    for number in range(100):
        if health.may_pass(1.0):
            (fail if number % 2 else pass_)(health, 1.0)
            fail(health, 1.0)
    assert not health.may_pass(1.0)


def test_a_busy_target_of_which_a_third_fails_is_asked_on_and_one_that_is_down_is_not():
    health, random = healthy(), Random(3)
    now_s = played(health, 0.0, every_s=0.02)
    for _ in range(3000):
        now_s += 0.02
        (fail if random.random() < 1 / 3 else pass_)(health, now_s)
        assert health.may_pass(now_s)
    for _ in range(FAILURES_OF_BUSY):
        fail(health, now_s)
    assert not health.may_pass(now_s)


def test_slow_answers_count_as_failures():
    health = healthy(slow_s=2.0)
    for _ in range(FAILURES_IN_A_ROW):
        pass_(health, 0.0, took_s=3.0)
    assert not health.may_pass(0.0)


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - COUNTED))
def test_what_says_nothing_of_the_targets_health_never_opens_it(kind):
    health = healthy()
    for _ in range(100):
        fail(health, 0.0, kind)
    assert health.view(0.0).state is BreakerState.CLOSED


def test_a_rate_limit_has_it_rest_as_long_as_it_says_and_no_longer_than_a_bound():
    health = healthy()
    fail(health, 0.0, FailureKind.RATE_LIMITED, retry_after_s=7.0)
    assert not health.may_pass(6.9)
    assert health.may_pass(7.0)
    fail(health, 10.0, FailureKind.RATE_LIMITED, retry_after_s=1e9)
    assert health.may_pass(310.0)


def test_a_probe_that_nobody_ends_does_not_keep_it_half_open_for_ever():
    health = opened()
    health.begin(FIRST_OPEN_S)
    assert not health.may_pass(FIRST_OPEN_S + 1)
    assert health.may_pass(FIRST_OPEN_S + MOST_OPEN_S)


def test_further_attempts_earn_no_further_attempts():
    """They are attempts at the target, too, and fail as often; the budget is of calls."""
    random, health = Random(1), healthy()
    calls = retries = 0
    now_s = 0.0
    for _ in range(4000):
        now_s += 0.01
        calls += 1
        is_again = True
        while is_again:
            health.begin(now_s)
            if random.random() < 0.4:
                health.failed(now_s, FailureKind.RATE_LIMITED, 0.0)
                is_again = health.take_retry(now_s)
                retries += is_again
            else:
                health.succeeded(now_s, 0.1)
                is_again = False
    windows = now_s / WINDOW_S + 1
    assert retries <= RETRY_RATIO * calls * 1.01 + RETRIES_IN_WINDOW * (windows + 1)


@given(st.lists(st.tuples(st.floats(0, 25), st.integers(1, 60), st.booleans()), max_size=30))
def test_in_any_window_further_attempts_stay_within_the_budget(stretches):
    """Whatever the load and whenever the window begins: a fifth of the calls that count at that time, and ten."""
    health = healthy()
    now_s, calls, again = 0.0, [], []
    for gap_s, count, is_calls in stretches:
        now_s += gap_s
        for _ in range(count):
            if is_calls:
                calls.append(now_s)
            elif health.take_retry(now_s):
                again.append(now_s)
            else:
                break
            health.begin(now_s)
            health.failed(now_s, FailureKind.RATE_LIMITED, 0.0)
    for end_s in again:
        in_window = sum(end_s - WINDOW_S < taken_s <= end_s for taken_s in again)
        # Those of the window before count with a share: never more than all of them.
        known = sum(end_s - 2 * WINDOW_S <= call_s <= end_s for call_s in calls)
        assert in_window <= RETRIES_IN_WINDOW + RETRY_RATIO * known


def test_in_any_window_of_a_steady_load_there_is_one_in_five_and_ten():
    """A call a tenth of a second, each of which fails again and again: attempts are at most 1.2 a call, and ten."""
    health = healthy()
    times = [tenth / 10 for tenth in range(2000)]
    again = []
    for now_s in times:
        health.begin(now_s)
        health.failed(now_s, FailureKind.RATE_LIMITED, 0.0)
        while health.take_retry(now_s):
            again.append(now_s)
            health.begin(now_s)
            health.failed(now_s, FailureKind.RATE_LIMITED, 0.0)
    for end_s in times:
        in_window = sum(end_s - WINDOW_S < taken_s <= end_s for taken_s in again)
        assert in_window <= RETRIES_IN_WINDOW + RETRY_RATIO * WINDOW_S * 10 + 1e-9
    assert len(again) >= 0.9 * RETRY_RATIO * len(times)


def test_a_probe_whose_caller_has_gone_gives_its_place_back():
    health = opened()
    health.begin(FIRST_OPEN_S)
    health.gave_up()
    assert health.may_pass(FIRST_OPEN_S)


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
@settings(max_examples=50)
def test_attempts_stay_below_a_fifth_more_than_calls_whatever_fails(seed, share):
    """With a steady load: the floor of a few retries is what a quiet target may do beyond that."""
    random, health = Random(seed), healthy()
    calls = retries = 0
    now_s = 0.0
    for _ in range(3000):
        now_s += 0.01
        calls += 1
        health.begin(now_s)
        if random.random() < share:
            health.failed(now_s, FailureKind.RATE_LIMITED, 0.0)
            if health.take_retry(now_s):
                retries += 1
        else:
            health.succeeded(now_s, 0.1)
    windows = now_s / WINDOW_S + 1
    assert retries <= RETRY_RATIO * calls * 1.01 + RETRIES_IN_WINDOW * (windows + 1)


def test_too_much_at_once_is_cut_and_grows_again_and_is_forgotten():
    health = healthy()
    for _ in range(100):
        health.begin(0.0)
    health.failed(0.0, FailureKind.OVERLOADED)
    assert health.most == pytest.approx(70.0)
    assert not health.may_pass(0.0)
    assert health.why_not(0.0) is FailureKind.OVERLOADED
    assert 0 < health.waits_s(0.0) <= 0.05
    for _ in range(40):
        health.succeeded(0.5, 0.1)
    assert health.pending == 59
    assert 70 < health.most < 71
    assert health.may_pass(0.5)
    assert health.is_held
    assert health.may_pass(61.0)
    assert not health.is_held
    assert health.most == float("inf")


def test_failures_of_one_moment_cut_once_and_never_below_a_few():
    health = healthy()
    for _ in range(10):
        health.begin(0.0)
    for _ in range(4):
        health.failed(0.0, FailureKind.TIMEOUT)
    assert health.most == pytest.approx(7.0)
    for number in range(1, 6):
        health.failed(number * 2.0, FailureKind.OVERLOADED)
    assert health.most == 4.0


class Machine(RuleBasedStateMachine):
    """Any order of beginnings, ends and waiting."""

    def __init__(self):
        super().__init__()
        self.random = Random(7)
        self.health = Health(lambda most: self.random.random() * most)
        self.now_s = 0.0
        self.begun = {True: 0, False: 0}

    @rule(wait_s=st.floats(0, 100))
    def wait(self, wait_s):
        self.now_s += wait_s

    @rule(is_streamed=st.booleans())
    def begin(self, is_streamed):
        if self.health.may_pass(self.now_s, is_streamed):
            self.health.begin(self.now_s, is_streamed)
            self.begun[is_streamed] += 1

    @rule(took_s=st.floats(0, 200), is_streamed=st.booleans())
    def succeed(self, took_s, is_streamed):
        if self.begun[is_streamed]:
            self.begun[is_streamed] -= 1
            self.health.succeeded(self.now_s, took_s, is_streamed)

    @rule(kind=st.sampled_from(FailureKind), after_s=st.none() | st.floats(0, 1e6), is_streamed=st.booleans())
    def fail(self, kind, after_s, is_streamed):
        if self.begun[is_streamed]:
            self.begun[is_streamed] -= 1
            self.health.failed(self.now_s, kind, after_s, is_streamed)

    @rule(is_streamed=st.booleans())
    def give_up(self, is_streamed):
        if self.begun[is_streamed]:
            self.begun[is_streamed] -= 1
            self.health.gave_up(is_streamed)

    @rule()
    def retry(self):
        self.health.take_retry(self.now_s)

    @rule(wait_s=st.floats(0, 60), has_failed=st.booleans())
    def hold(self, wait_s, has_failed):
        self.health.hold_open(self.now_s + wait_s, has_failed=has_failed)
        view = self.health.view(self.now_s)
        assert view.state is BreakerState.CLOSED or view.opens_in_s >= wait_s - 1e-6

    @rule()
    def find_it_well(self):
        was_closed = self.health.view(self.now_s).state is BreakerState.CLOSED
        self.health.half_open(self.now_s)
        assert (self.health.view(self.now_s).state is BreakerState.CLOSED) == was_closed

    @invariant()
    def it_counts_what_is_under_way(self):
        assert self.health.pending == sum(self.begun.values())

    @invariant()
    def it_lets_somebody_through_again_in_bounded_time(self):
        is_held, most = self.health.is_held, self.health.most
        for is_streamed in (False, True):
            assert self.health.may_pass(self.now_s + 400.0, is_streamed)  # by then a cut is over, too
        self.health.is_held, self.health.most = is_held, most  # that moment has not come
        for is_streamed in (False, True):
            assert 0 <= self.health.waits_s(self.now_s, is_streamed) <= 301.0

    @invariant()
    def whoever_does_not_ask_it_is_not_misled(self):
        """A call asks `may_pass` only where `is_held` says so."""
        if not self.health.is_held:
            assert self.health.may_pass(self.now_s)
            assert self.health.may_pass(self.now_s, True)

    @invariant()
    def what_it_shows_makes_sense(self):
        view = self.health.view(self.now_s)
        assert view.calls >= 0
        assert view.failures <= view.calls + 1e-9
        assert view.took_s >= 0


TestMachine = Machine.TestCase


def test_a_good_probe_half_opens_it_before_its_time():
    health = opened()
    assert health.is_open(1.0)
    health.half_open(1.0)
    assert not health.is_open(1.0)
    assert health.view(1.0).state is BreakerState.HALF_OPEN
    pass_(health, 1.0)
    pass_(health, 1.5)
    assert health.view(1.5).state is BreakerState.CLOSED


def test_it_is_held_open_beyond_its_time_and_not_for_ever():
    health = opened()
    health.hold_open(30.0, has_failed=True)
    assert not health.may_pass(29.9)
    assert health.waits_s(10.0) == pytest.approx(20.0)
    assert health.may_pass(30.0)


def test_good_probes_hurry_a_target_whose_answers_fail_once_only_until_a_probe_has_failed():
    health = opened()
    health.half_open(1.0)
    fail(health, 1.0)  # the answer says otherwise: open for twice as long
    health.half_open(2.0)
    assert not health.may_pass(2.0)
    assert health.may_pass(1.0 + 2 * FIRST_OPEN_S)

    health.hold_open(3.0, has_failed=True)
    health.half_open(4.0)
    assert health.may_pass(4.0)


def test_one_that_is_closed_is_not_held():
    health = healthy()
    health.hold_open(30.0, has_failed=True)
    health.half_open(1.0)
    assert health.may_pass(1.0)


def test_it_says_since_when_it_is_open_however_many_probes_failed():
    health = opened(10.0)
    health.begin(16.0)
    health.failed(16.0, FailureKind.ERROR)

    assert health.view(20.0).open_for_s == 10.0
    assert healthy().view(20.0).open_for_s == 0.0


def test_it_says_what_it_rests_for():
    health = healthy()
    fail(health, 0.0, FailureKind.UNAUTHORIZED)

    assert health.view(1.0).rest_for is FailureKind.UNAUTHORIZED
    assert health.view(1000.0).rest_for is None


def test_it_says_how_much_of_the_retry_budget_is_used():
    health = healthy()
    assert health.view(0.0).budget_used == 0.0
    while health.take_retry(0.0):
        pass

    assert health.view(0.0).budget_used == 1.0


# -- streams alone, and whole answers alone ---------------------------------------------------------------------------


def mixed(health, now_s, *, calls, streamed, fails_streamed, fails_whole=False, every_s=0.01):
    """So many attempts, of which every so manieth is a stream; how many of each were made, and when the last was."""
    made = {True: 0, False: 0}
    for number in range(calls):
        now_s += every_s
        is_streamed = number % streamed == 0
        if health.may_pass(now_s, is_streamed):
            made[is_streamed] += 1
            fails = fails_streamed if is_streamed else fails_whole
            (fail if fails else pass_)(health, now_s, is_streamed=is_streamed)
    return made, now_s


@pytest.mark.parametrize("streamed", [3, 5, 10])
def test_a_target_whose_streams_all_break_is_asked_for_no_more_streams_and_goes_on_with_whole_answers(streamed):
    """Each good answer between them ends a row of failures, and they are less than half."""
    health = healthy()
    made, now_s = mixed(health, 0.0, calls=2000, streamed=streamed, fails_streamed=True)

    assert made[False] == sum(number % streamed != 0 for number in range(2000))
    assert made[True] <= FAILURES_OF_BUSY + 3  # and a probe after 5 s, 10 s, 20 s
    view = health.view(now_s)
    assert (view.state, view.whole) == (BreakerState.CLOSED, BreakerState.CLOSED)
    assert view.streamed is not BreakerState.CLOSED
    assert health.is_held
    assert health.may_pass(now_s)
    assert health.waits_s(now_s, True) > 0
    assert health.why_not(now_s, True) is FailureKind.OPEN


def test_a_target_whose_whole_answers_all_break_goes_on_with_streams():
    health = healthy()
    made = {True: 0, False: 0}
    for number in range(2000):
        now_s, is_streamed = number * 0.01, number % 3 != 0
        if health.may_pass(now_s, is_streamed):
            made[is_streamed] += 1
            (pass_ if is_streamed else fail)(health, now_s, is_streamed=is_streamed)
    assert made[True] == sum(number % 3 != 0 for number in range(2000))
    assert made[False] <= FAILURES_OF_BUSY + 3


def test_streams_are_asked_for_again_when_two_probes_were_good():
    health = healthy()
    _, now_s = mixed(health, 0.0, calls=200, streamed=3, fails_streamed=True)
    now_s += FIRST_OPEN_S
    for _ in range(2):
        assert health.may_pass(now_s, True)
        health.begin(now_s, True)
        assert not health.may_pass(now_s, True)  # one at a time
        health.succeeded(now_s, 0.1, True)
    made, now_s = mixed(health, now_s, calls=300, streamed=3, fails_streamed=False)
    assert made == {True: 100, False: 200}
    assert not health.is_held


def test_a_stream_that_breaks_now_and_then_holds_back_none():
    health, random = healthy(), Random(5)
    for number in range(5000):
        now_s, is_streamed = number * 0.01, number % 3 == 0
        assert health.may_pass(now_s, is_streamed)
        is_bad = is_streamed and random.random() < 1 / 3
        (fail if is_bad else pass_)(health, now_s, is_streamed=is_streamed)


def test_where_all_fails_one_breaker_holds_back_all_and_lets_all_go_on():
    health = healthy()
    for number in range(BUSY_CALLS):
        if health.may_pass(0.0, number % 2 == 0):
            fail(health, 0.0, is_streamed=number % 2 == 0)
    view = health.view(0.0)
    assert view.state is BreakerState.OPEN
    assert (view.streamed, view.whole) == (BreakerState.CLOSED, BreakerState.CLOSED)
    for _ in range(2):
        pass_(health, FIRST_OPEN_S)
    assert health.may_pass(FIRST_OPEN_S, True)
    fail(health, FIRST_OPEN_S, is_streamed=True)
    assert health.may_pass(FIRST_OPEN_S, True)


# -- failing often ------------------------------------------------------------------------------------------------


def played(health, share, *, calls=1000, every_s=0.01, since_s=0.0, seed=1):
    """So many attempts, of which this share fails at random."""
    random, now_s = Random(seed), since_s
    for _ in range(calls):
        now_s += every_s
        (fail if random.random() < share else pass_)(health, now_s)
    return now_s


@pytest.mark.parametrize(("share", "often"), [(0.02, False), (0.08, False), (0.3, True), (0.45, True)])
def test_a_target_fails_often_where_to_ask_it_again_takes_more_than_a_fifth(share, often):
    health = healthy()
    now_s = played(health, share)
    assert health.fails_often(now_s) is often


def test_that_it_fails_often_is_known_within_seconds_however_well_it_was():
    health = healthy()
    now_s = played(health, 0.0)
    assert not health.fails_often(now_s)
    now_s = played(health, 0.3, calls=100, since_s=now_s)
    assert health.fails_often(now_s)


def test_that_it_failed_often_is_forgotten_when_it_is_well_again_and_when_it_was_not_asked():
    health = healthy()
    now_s = played(health, 0.3)
    assert not health.fails_often(now_s + 2 * WINDOW_S)
    assert not health.fails_often(played(health, 0.0, calls=200, since_s=now_s))


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
@settings(max_examples=30)
def test_with_another_that_is_well_attempts_are_hardly_more_than_calls_and_first_failures(seed, share):
    """Below a sixth, to ask again takes a fifth at most; from there on each call that fails makes one further attempt,
    but for the few that show it, and those of a share that is not far above a sixth."""
    random, health = Random(seed), healthy()
    calls, attempts, firsts, now_s = 2000, 0, 0, 0.0
    for _ in range(calls):
        now_s += 0.01
        if not health.may_pass(now_s):
            attempts += 1  # by the other
            continue
        is_first = True
        while True:
            attempts += 1
            if random.random() >= share:
                pass_(health, now_s)
                break
            fail(health, now_s, FailureKind.INVALID)
            firsts += is_first
            is_first = False
            if health.fails_often(now_s) or not health.may_pass(now_s) or not health.take_retry(now_s):
                attempts += 1  # by the other
                break
    few = LATEST_FAILURES + RETRIES_IN_WINDOW
    assert attempts <= calls + max(RETRY_RATIO * calls, 1.1 * firsts) + few


# -- what is known of how quick it is ------------------------------------------------------------------------


def known(took_s=2.0, *, until_s=30):
    health = healthy()
    for second in range(until_s):
        pass_(health, float(second), took_s)
    return health


def test_a_target_that_was_never_so_quick_of_late_does_not_answer_in_time():
    health = known(2.0)
    assert health.answers_within(2.0, 30.0)
    assert not health.answers_within(1.9, 30.0)


def test_a_target_of_which_little_is_known_is_asked():
    assert healthy().answers_within(0.001, 0.0)
    assert known(2.0, until_s=5).answers_within(0.001, 5.0)


def test_one_in_ten_is_let_through_to_see_whether_it_is_quicker_now():
    health = known(2.0)
    assert [health.answers_within(1.0, 30.0) for _ in range(30)].count(True) == 3


def test_a_target_that_has_become_quicker_is_believed_within_a_look():
    health = known(2.0)
    pass_(health, 30.0, 0.5)
    pass_(health, 31.1, 2.0)
    pass_(health, 33.3, 2.0)
    assert health.answers_within(0.6, 33.3)


def test_what_is_known_is_forgotten_when_nothing_is_heard_for_two_windows():
    health = known(2.0)
    assert health.answers_within(0.1, 30.0 + 2 * WINDOW_S)


def test_a_refusal_comes_quickly_and_says_nothing_of_how_long_answers_take():
    health = known(2.0)
    for second in range(30, 60):
        pass_(health, float(second), 2.0)
        health.begin(float(second))
        health.refused(float(second), 0.01)
    assert not health.answers_within(1.9, 60.0)
    assert health.pending == 0


# -- attempts that others could not serve ---------------------------------------------------------------------


def test_a_target_that_is_well_takes_whatever_others_cannot_serve():
    health = healthy()
    for second in range(400):
        assert health.take_hop(second / 20)
        pass_(health, second / 20)


def test_a_target_that_often_fails_takes_no_more_from_others_than_its_budget_allows():
    health, taken, firsts = healthy(), 0, 0
    for number in range(1000):  # two in five fail: too few for the breaker
        now_s = number * WINDOW_S / 1000
        (fail if number % 5 in (0, 2) else pass_)(health, now_s)
        firsts += 1
        taken += health.take_hop(now_s)
    assert taken <= LEAST_CALLS + RETRIES_IN_WINDOW + RETRY_RATIO * firsts + 1


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.ERROR, FailureKind.OVERLOADED])
def test_where_a_target_is_measured_no_failure_keeps_the_next_attempt_back(kind):
    health = healthy(is_measured=True)
    for step in range(200):
        assert health.may_pass(step / 10)
        fail(health, step / 10, kind)
    for step in range(200, 400):
        pass_(health, step / 10, took_s=2.0)
        assert health.answers_within(0.5, step / 10)


def test_where_a_target_is_measured_it_rests_as_it_says_all_the_same():
    health = healthy(is_measured=True)
    fail(health, 0.0, FailureKind.RATE_LIMITED, retry_after_s=3.0)
    assert not health.may_pass(2.9)
    assert health.may_pass(3.1)
