"""What every authority promises, and that all of them reckon alike."""

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import LimitsUnavailable
from headworks.limits import Ask, Quota
from headworks.limits.ledger import LEASE_S, Ledger
from headworks.limits.local import LeaseServer, SocketAuthority
from headworks.limits.local_authority import LocalAuthority
from headworks.limits.valkey import SCRIPT, ValkeyAuthority

EXPIRED_S = LEASE_S * 1.02
CLOCK_LINE = "local clock = redis.call('TIME')"
BEGIN_S = 1_000_000.0

numbers = itertools.count()


class PlayedValkey(ValkeyAuthority):
    """Valkey whose time is the test's: the script reads it from a key in the place of TIME, all else is as it is.

    But for how long it may take to answer: what these tests play is arithmetic, on machines that may be busy."""

    def __init__(self, server, prefix, **options):
        self.server = server
        self.played = SCRIPT.replace(CLOCK_LINE, f"local clock = redis.call('LRANGE', '{{{prefix}}}:clock', 0, 1)")
        assert self.played != SCRIPT
        self.prefix = prefix
        super().__init__(
            server.url, prefix=prefix, script=self.played, timeout_s=30, now=lambda: self.moment_s, **options
        )
        self.moment_s = BEGIN_S
        self.ahead_s = 0.0

    def step(self, seconds):
        """The server's clock alone is set."""
        self.ahead_s += seconds
        self.set(self.moment_s)

    def set(self, moment_s):
        self.moment_s = moment_s
        micros = round((moment_s + self.ahead_s) * 1e6)
        key = f"{{{self.prefix}}}:clock"
        self.server.ask("DEL", key)
        self.server.ask("RPUSH", key, str(micros // 1_000_000), str(micros % 1_000_000))


class Playground:
    """An authority and its clock."""

    def __init__(self, authority, set_clock):
        self.authority = authority
        self._set_clock = set_clock
        self.now_s = BEGIN_S
        self._set_clock(self.now_s)

    def wait(self, seconds):
        # In steps that both microseconds and doubles hold exactly, for the two to agree to the last digit.
        self.now_s += round(seconds * 64) / 64
        self._set_clock(self.now_s)

    async def renew(self, holder, quota, *, spent=0, wanted=0, remaining=None):
        (lease,) = await self.authority.renew(holder, [Ask(quota, spent, wanted, remaining)])
        return lease


class Clock:
    def __init__(self):
        self.now_s = BEGIN_S

    def __call__(self):
        return self.now_s

    def set(self, now_s):
        self.now_s = now_s


@contextlib.asynccontextmanager
async def local(_valkey, _folder):
    clock = Clock()
    yield Playground(LocalAuthority(clock), clock.set)


@contextlib.asynccontextmanager
async def behind_a_socket(_valkey, folder):
    clock = Clock()
    server = LeaseServer(folder, lambda: LocalAuthority(clock), say=pytest.fail)
    await server.start()
    authority = SocketAuthority(folder)
    try:
        yield Playground(authority, clock.set)
    finally:
        await authority.close()
        await server.close()


@contextlib.asynccontextmanager
async def in_valkey(valkey, _folder):
    """With books that were opened so long ago that every quota is full."""
    prefix = f"test-{next(numbers)}"
    authority = PlayedValkey(valkey, prefix)
    era = f"{{{prefix}}}:limits:era"
    process = next(line for line in valkey.ask("INFO", "server").decode().splitlines() if line.startswith("run_id"))
    valkey.ask("HSET", era, "era", "1", "opened", "1", "process", process.removeprefix("run_id:"))
    try:
        yield Playground(authority, authority.set)
    finally:
        await authority.close()


AUTHORITIES = {"local": local, "socket": behind_a_socket, "valkey": in_valkey}


@pytest.fixture(params=AUTHORITIES.values(), ids=AUTHORITIES.keys())
def play(request, tmp_path, shared_valkey):
    """Runs a scenario against each authority."""

    def play(scenario):
        async def run():
            async with request.param(shared_valkey, tmp_path) as ground:
                return await scenario(ground)

        return asyncio.run(asyncio.wait_for(run(), 60))

    return play


MINUTE = Quota("openai/main/m/rpm", 600, 60.0)  # ten a second


def test_a_first_holder_gets_what_it_wants_for_the_life_of_a_lease(play):
    async def scenario(ground):
        lease = await ground.renew("a", MINUTE, wanted=50)
        assert (lease.amount, lease.expires_s, lease.wait_s) == (50, LEASE_S, 0.0)

    play(scenario)


def test_one_renewal_answers_every_ask_in_its_order(play):
    async def scenario(ground):
        asks = [Ask(Quota(f"q{number}", 1000, 60.0), 0, number) for number in range(40)]
        leases = await ground.authority.renew("a", asks)
        assert [lease.amount for lease in leases] == list(range(40))
        assert await ground.authority.renew("a", []) in ([], ())

    play(scenario)


def test_holders_together_never_have_more_than_the_quota(play):
    async def scenario(ground):
        leases = [await ground.renew(f"w{number}", MINUTE, wanted=500) for number in range(20)]
        assert sum(lease.amount for lease in leases) <= 600
        assert leases[-1].wait_s > 0.0

    play(scenario)


def test_concurrent_renewals_never_hand_out_more_than_the_quota(play):
    async def scenario(ground):
        async def spend(holder):
            total = 0
            spent = 0
            for _ in range(20):
                lease = await ground.renew(holder, MINUTE, spent=spent, wanted=100)
                spent = lease.amount
                total += spent
            return total

        assert sum(await asyncio.gather(*(spend(f"w{number}") for number in range(8)))) <= 600

    play(scenario)


def test_what_is_spent_comes_back_with_time_and_not_before(play):
    async def scenario(ground):
        lease = await ground.renew("a", MINUTE, wanted=600)
        held = lease.amount
        for _ in range(20):
            held = (await ground.renew("a", MINUTE, spent=held, wanted=600)).amount
        assert held == 0
        ground.wait(5.0)
        total = 0
        for _ in range(20):
            held = (await ground.renew("a", MINUTE, spent=held, wanted=600)).amount
            total += held
        assert total == 50

    play(scenario)


def test_what_a_holder_gives_back_is_there_for_the_next(play):
    async def scenario(ground):
        one = Quota("one", 1, 1000.0)
        assert (await ground.renew("a", one, wanted=1)).amount == 1
        assert (await ground.renew("b", one, wanted=1)).amount == 0
        assert (await ground.renew("a", one, wanted=0)).amount == 0
        assert (await ground.renew("b", one, wanted=1)).amount == 1

    play(scenario)


def test_the_units_of_a_holder_that_dies_count_as_spent(play):
    async def scenario(ground):
        slow = Quota("slow", 100, 10_000.0)  # one in a hundred seconds
        await ground.renew("dies", slow, wanted=100)
        ground.wait(EXPIRED_S)
        lease = await ground.renew("lives", slow, wanted=100)
        again = await ground.renew("lives", slow, spent=lease.amount, wanted=100)
        assert lease.amount + again.amount <= 50

    play(scenario)


def test_a_holder_that_dies_leaves_its_turn_to_the_others(play):
    async def scenario(ground):
        small = Quota("small", 10, 10.0)
        for _ in range(5):
            await ground.renew("dies", small, wanted=10)
            await ground.renew("lives", small, wanted=10)
        amounts = []
        for _ in range(40):
            ground.wait(1.0)
            lease = await ground.renew("lives", small, spent=amounts[-1] if amounts else 0, wanted=10)
            amounts.append(lease.amount)
        assert sum(amounts[20:]) >= 18

    play(scenario)


def test_holders_that_want_too_much_get_equal_shares(play):
    async def scenario(ground):
        granted = dict.fromkeys("abcd", 0)
        held = dict.fromkeys("abcd", 0)
        for _ in range(400):
            ground.wait(0.25)
            for holder in granted:
                lease = await ground.renew(holder, MINUTE, spent=held[holder], wanted=20)
                held[holder] = lease.amount
                granted[holder] += lease.amount
        assert sum(granted.values()) <= 600 + 1000
        assert sum(granted.values()) >= 0.95 * 1000
        assert max(granted.values()) <= 1.1 * min(granted.values())

    play(scenario)


def test_what_was_spent_beyond_the_lease_is_taken_off_the_rest(play):
    async def scenario(ground):
        await ground.renew("a", MINUTE, wanted=10)
        await ground.renew("a", MINUTE, spent=590, wanted=0)
        assert (await ground.renew("b", MINUTE, wanted=600)).amount <= 10

    play(scenario)


def test_what_was_estimated_too_high_comes_back(play):
    async def scenario(ground):
        slow = Quota("slow", 100, 10_000.0)
        held = (await ground.renew("a", slow, wanted=50)).amount
        await ground.renew("a", slow, spent=held, wanted=0)
        await ground.renew("a", slow, spent=-held, wanted=0)
        assert (await ground.renew("a", slow, wanted=50)).amount == 50

    play(scenario)


def test_the_providers_word_pulls_the_level_down(play):
    async def scenario(ground):
        lease = await ground.renew("a", MINUTE, wanted=600, remaining=12)
        assert lease.amount <= 12

    play(scenario)


def test_a_quota_that_is_made_smaller_holds_at_once(play):
    async def scenario(ground):
        await ground.renew("a", MINUTE, wanted=1)
        smaller = Quota(MINUTE.name, 6, 60.0)
        leases = [await ground.renew(holder, smaller, wanted=600) for holder in "abcd"]
        assert sum(lease.amount for lease in leases) <= 6

    play(scenario)


steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.015625, 0.125, 1.0, 4.0, 6.0, 70.0, 700.0]),
        st.sampled_from("abcd"),
        st.floats(-0.3, 1.5),
        st.integers(0, 40),
        st.none() | st.integers(0, 40),
        st.sampled_from([(30, 60.0), (30, 60.0), (30, 60.0), (12, 60.0), (30, 3.0)]),
    ),
    min_size=1,
    max_size=25,
)


@given(steps)
def test_valkey_reckons_as_the_ledger_does(shared_valkey, steps):
    async def scenario():
        async with in_valkey(shared_valkey, None) as theirs:
            ours = None
            held = dict.fromkeys("abcd", 0)
            for seconds, holder, share, wanted, remaining, (amount, window_s) in steps:
                theirs.wait(seconds)
                quota = Quota("q", amount, window_s)
                spent = round(share * held[holder])
                ours = ours or Ledger(quota, theirs.now_s)
                if quota != ours.quota:
                    ours.resize(quota, theirs.now_s)
                expected = ours.renew(holder, spent, wanted, theirs.now_s, remaining=remaining)
                lease = await theirs.renew(holder, quota, spent=spent, wanted=wanted, remaining=remaining)
                assert lease.amount == expected.amount
                assert lease.expires_s == expected.expires_s
                assert lease.wait_s == pytest.approx(expected.wait_s, abs=1e-6)
                held[holder] = lease.amount

    asyncio.run(scenario())


def valkey_play(shared_valkey, scenario):
    async def run():
        async with in_valkey(shared_valkey, None) as ground:
            return await scenario(ground)

    return asyncio.run(asyncio.wait_for(run(), 60))


async def drained(ground, quota):
    """Everything of the quota is spent; what its holder has not said yet."""
    held = 0
    for _ in range(20):
        held = (await ground.renew("a", quota, spent=held, wanted=quota.amount)).amount
    assert held == 0


@pytest.mark.parametrize("step_s", [30.0, 3600.0])
def test_a_server_clock_that_is_set_forward_refills_nothing(shared_valkey, step_s):
    async def scenario(ground):
        await drained(ground, MINUTE)
        ground.authority.step(step_s)
        with pytest.raises(LimitsUnavailable, match="its clock was set; it goes on"):
            await ground.renew("a", MINUTE, wanted=600)
        assert (await ground.renew("a", MINUTE, wanted=600)).amount == 0
        assert (await ground.renew("b", MINUTE, wanted=600)).amount == 0
        ground.wait(2.0)
        leases = [await ground.renew(holder, MINUTE, wanted=600) for holder in "abcdef"]
        assert 18 <= sum(lease.amount for lease in leases) <= 20

    valkey_play(shared_valkey, scenario)


@pytest.mark.parametrize("step_s", [-0.5, -30.0, -3600.0])
def test_a_server_clock_that_is_set_back_neither_refills_nor_stands_still(shared_valkey, step_s):
    async def scenario(ground):
        await drained(ground, MINUTE)
        ground.authority.step(step_s)
        assert (await ground.renew("a", MINUTE, wanted=600)).amount == 0
        ground.wait(2.5)
        leases = [await ground.renew(holder, MINUTE, wanted=600) for holder in "abcdef"]
        assert 18 <= sum(lease.amount for lease in leases) <= 25

    valkey_play(shared_valkey, scenario)


def test_a_lease_outlives_a_step_of_the_clock(shared_valkey):
    async def scenario(ground):
        slow = Quota("slow", 100, 100_000.0)
        assert (await ground.renew("a", slow, wanted=50)).amount == 50
        ground.authority.step(-3600.0)
        assert (await ground.renew("b", slow, wanted=10)).amount == 10
        assert (await ground.renew("a", slow, wanted=50)).amount == 50
        ground.authority.step(7200.0)
        with pytest.raises(LimitsUnavailable):
            await ground.renew("b", slow, wanted=10)
        assert (await ground.renew("b", slow, wanted=10)).amount == 10
        ground.wait(EXPIRED_S)
        await ground.renew("b", slow, wanted=10)
        assert (await ground.renew("c", slow, wanted=100)).amount <= 20  # what `a` held has expired and is spent

    valkey_play(shared_valkey, scenario)


def test_a_renewal_that_a_later_one_overtook_changes_nothing(shared_valkey):
    async def scenario(ground):
        first = await ground.renew("a", MINUTE, wanted=50)
        ground.authority._serial -= 5_000_000  # as if it had been sent five seconds before, on a new connection
        ground.authority.moment_s -= 5.0
        ground.authority._seen = None
        again = await ground.renew("a", MINUTE, spent=first.amount, wanted=50)
        assert (again.amount, again.expires_s) == (50, 0.0)

    valkey_play(shared_valkey, scenario)
