import asyncio
import stat
import subprocess
import sys
import time

import pytest

from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits import Ask, Quota
from headworks.limits.books import BOOKS_FILE, KeptAuthority
from headworks.limits.ledger import LEASE_S
from headworks.limits.local import SocketAuthority

DAY = Quota("rpd", 10_000, 86_400.0)
MINUTE = Quota("rpm", 600, 60.0)
OPENS_S = LEASE_S * 1.03


class Machine:
    """Clocks of a machine, and control planes one after another."""

    def __init__(self, storage):
        self.storage = storage
        self.now_s = 1_000.0
        self.unix_s = 1_790_000_000.0
        self.boot = "first"
        self.authority = None

    def wait(self, seconds):
        self.now_s += seconds
        self.unix_s += seconds

    def reboot(self, away_s):
        self.now_s = 20.0
        self.boot += " and another"
        self.unix_s += away_s

    def start(self):
        if self.authority is not None:
            self.authority.close()
        self.authority = KeptAuthority(
            self.storage, clock=lambda: self.now_s, wall_clock=lambda: self.unix_s, boot=self.boot
        )

    def renew(self, holder, quota, wanted, spent=0):
        (lease,) = asyncio.run(self.authority.renew(holder, [Ask(quota, spent, wanted)]))
        return lease.amount

    def drain(self, quota):
        """Everything that can be had, by one holder after another, all spent."""
        total = 0
        for number in range(30):
            held = self.renew(f"w{number}", quota, quota.amount)
            self.renew(f"w{number}", quota, 0, spent=held)
            total += held
        return total


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.start()
    yield machine
    machine.authority.close()


def test_the_first_of_a_folder_begins_with_full_quotas(machine):
    assert machine.drain(DAY) == 10_000
    assert machine.drain(MINUTE) == 600


def test_one_that_follows_grants_nothing_till_the_leases_of_before_have_expired(machine):
    machine.renew("w", DAY, 100)
    machine.wait(1.0)
    machine.start()
    with pytest.raises(LimitsUnavailable, match=r"leases of before have expired, 4\.1 s more"):
        machine.renew("w", DAY, 100)
    machine.wait(4.2)
    assert machine.renew("w", DAY, 100) == 100


def test_one_that_follows_after_that_grants_at_once(machine):
    machine.renew("w", DAY, 100)
    machine.wait(60.0)
    machine.start()
    assert machine.renew("w", DAY, 100) == 100


def test_a_day_that_was_spent_is_still_spent(machine):
    assert machine.drain(DAY) == 10_000
    for _ in range(3):
        machine.start()
        machine.wait(OPENS_S)
        assert machine.drain(DAY) <= 2


def test_what_was_free_of_a_day_is_still_free_and_what_was_out_is_not(machine):
    assert machine.renew("dies", DAY, 4_000) == 4_000
    machine.start()
    machine.wait(OPENS_S)
    assert 5_990 <= machine.drain(DAY) <= 6_002


def test_a_day_refills_while_nobody_serves(machine):
    machine.drain(DAY)
    machine.wait(8_640.0)
    machine.start()
    machine.wait(OPENS_S)
    assert 995 <= machine.drain(DAY) <= 1_002


def test_a_quota_by_the_minute_begins_empty_and_has_refilled_soon(machine):
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(MINUTE) <= 52
    machine.wait(61.0)
    assert machine.drain(MINUTE) == 600


def test_a_quota_that_nobody_has_asked_for_since_is_not_forgotten(machine):
    machine.drain(DAY)
    other = Quota("other", 10_000, 86_400.0)
    machine.start()
    machine.wait(OPENS_S)
    machine.renew("w", other, 1)
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(DAY) <= 3
    assert machine.drain(other) >= 9_998


def test_a_quota_that_was_full_and_dropped_is_full(machine):
    machine.renew("w", DAY, 1)
    machine.renew("w", DAY, 0)
    machine.wait(100.0)
    machine.renew("w", MINUTE, 1)
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(DAY) >= 9_999


@pytest.mark.parametrize("step_s", [3600.0, -7200.0, 40 * 86_400.0])
def test_a_wall_clock_that_is_set_gives_nothing_back(machine, step_s):
    assert (machine.drain(DAY), machine.drain(MINUTE)) == (10_000, 600)
    machine.unix_s += step_s
    machine.start()
    with pytest.raises(LimitsUnavailable):
        machine.renew("w", MINUTE, 1)
    machine.wait(OPENS_S)
    assert machine.drain(DAY) <= 10_000 * OPENS_S / 86_400
    assert machine.drain(MINUTE) <= 600 * OPENS_S / 60


def test_where_boots_have_no_name_the_time_of_the_start_tells_them_apart(machine):
    machine.boot = ""
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(DAY) > 9_990
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(DAY) <= 10_000 * OPENS_S / 86_400
    machine.reboot(away_s=8_640.0 + 60.0)
    machine.boot = ""
    machine.start()
    machine.wait(OPENS_S)
    assert 1_000 <= machine.drain(DAY) <= 1_002


def test_books_of_another_boot_are_not_believed_but_time_has_passed(machine):
    machine.renew("w", DAY, 1)
    machine.reboot(away_s=8_640.0 + 60.0)
    machine.start()
    assert 995 <= machine.drain(DAY) <= 1_005


def test_books_of_another_boot_a_moment_ago_leave_nothing(machine):
    machine.renew("w", DAY, 1)
    machine.reboot(away_s=40.0)
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(DAY) <= 2


@pytest.mark.parametrize("content", [b"", b"\x00\x00", b"\x00\x00\x00\x04\x00\x00\x00\x00abcd", b"{}" * 40])
def test_books_that_cannot_be_read_are_taken_for_spent(machine, content):
    machine.renew("w", DAY, 1)
    (machine.storage / BOOKS_FILE).write_bytes(content)
    machine.start()
    with pytest.raises(LimitsUnavailable):
        machine.renew("w", DAY, 1)
    machine.wait(OPENS_S)
    assert machine.drain(DAY) <= 1


def test_the_file_is_for_its_owner_alone(machine):
    assert stat.S_IMODE((machine.storage / BOOKS_FILE).stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StorageError, match=BOOKS_FILE):
        KeptAuthority(tmp_path / "none")


def test_a_disk_that_takes_nothing_leaves_no_books_that_are_too_good(machine, monkeypatch):
    machine.renew("w", DAY, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        assert machine.drain(DAY) >= 9_990
    machine.start()
    machine.wait(OPENS_S)
    assert machine.drain(DAY) <= 1


def test_the_real_clocks_will_do(tmp_path):
    authority = KeptAuthority(tmp_path)
    asyncio.run(authority.renew("w", [Ask(DAY, 0, 1)]))
    authority.close()
    following = KeptAuthority(tmp_path)
    with pytest.raises(LimitsUnavailable):
        asyncio.run(following.renew("w", [Ask(DAY, 0, 1)]))
    following.close()


SERVE = """
import sys, time
from pathlib import Path
from headworks.limits.books import KeptAuthority
from headworks.limits.local import serving_leases

with serving_leases(Path(sys.argv[1]), lambda: KeptAuthority(Path(sys.argv[1]), lease_s=0.2), say=print):
    time.sleep(60)
"""


async def spend(authority, holder, quotas, totals, is_over):
    """Spend all that one gets, as fast as one gets it, until it is over; adds up how much that was of each quota."""
    unsaid = [0] * len(quotas)
    while not is_over.is_set():
        asks = [Ask(quota, spent, quota.amount) for quota, spent in zip(quotas, unsaid, strict=True)]
        try:
            leases = await authority.renew(holder, asks)
        except LimitsUnavailable:
            await asyncio.sleep(0.005)
            continue
        unsaid = [lease.amount for lease in leases]
        for place, amount in enumerate(unsaid):
            totals[place] += amount


def test_a_control_plane_that_is_killed_under_load_lets_nobody_spend_more_than_the_quota(tmp_path):
    quick = Quota("quick", 100, 0.5)  # 200 a second
    command = [sys.executable, "-c", SERVE, str(tmp_path)]

    async def scenario():
        process = subprocess.Popen(command)
        authorities = [SocketAuthority(tmp_path) for _ in range(4)]
        while True:
            try:
                await authorities[0].renew("w", [Ask(quick, 0, 0)])
                break
            except LimitsUnavailable:
                await asyncio.sleep(0.01)
        began_s, totals, is_over = time.monotonic(), [0, 0], asyncio.Event()
        spending = [
            asyncio.create_task(spend(each, f"w{number}", [quick, DAY], totals, is_over))
            for number, each in enumerate(authorities)
        ]
        try:
            for _ in range(3):
                before = totals[0]
                while totals[0] < before + 50:  # it goes on each time
                    await asyncio.sleep(0.01)
                process.kill()
                process.wait()
                process = subprocess.Popen(command)
            is_over.set()
            await asyncio.gather(*spending)
        finally:
            process.kill()
            process.wait()
            for authority in authorities:
                await authority.close()
        return totals, time.monotonic() - began_s

    (quick_total, day_total), took_s = asyncio.run(asyncio.wait_for(scenario(), 120))
    assert quick_total <= 100 + 200 * took_s
    assert day_total <= 10_001
