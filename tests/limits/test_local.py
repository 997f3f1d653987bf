import asyncio
import contextlib
import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits import Ask, Lease, Quota
from headworks.limits.link import LONGEST_PAUSE_S
from headworks.limits.local import LeaseServer, SocketAuthority, serving_leases, socket_path
from headworks.limits.wire import HEAD_BYTES, Declined, Granted, Renewal, body_bytes, frame_renewal, read_answer

ASK = Ask(Quota("openai/main/m/rpm", 100, 60.0), 0, 7)


class Granting:
    """An authority that grants what is wanted, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.trouble = ""

    async def renew(self, holder, asks):
        if self.trouble:
            raise LimitsUnavailable(self.trouble)
        self.asked.append((holder, asks))
        return [Lease(ask.wanted, 5.0, 0.25) for ask in asks]


@contextlib.asynccontextmanager
async def serving(storage, authority, say=pytest.fail, **options):
    server = LeaseServer(storage, lambda: authority, say=say, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


async def soon(authority, within_s=50.0):
    """The leases of the first renewal that succeeds."""
    due_s = time.monotonic() + within_s
    while True:
        try:
            return await authority.renew("w", [ASK])
        except LimitsUnavailable:
            if time.monotonic() > due_s:
                raise
            await asyncio.sleep(0.02)


SERVE = """
import sys, time
from pathlib import Path
from headworks.limits import Lease
from headworks.limits.local import serving_leases

class Granting:
    async def renew(self, holder, asks):
        return [Lease(ask.wanted, 5.0) for ask in asks]

with serving_leases(Path(sys.argv[1]), Granting, say=lambda text: print(text, flush=True)):
    time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process that serves leases."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_renewal_reaches_the_authority_and_its_leases_come_back(tmp_path):
    async def scenario():
        granting = Granting()
        async with serving(tmp_path, granting):
            authority = SocketAuthority(tmp_path)
            leases = await authority.renew("worker-1", [ASK, ASK])
            await authority.close()
        return granting.asked, leases

    asked, leases = run(scenario())
    assert asked == [("worker-1", (ASK, ASK))]
    assert leases == (Lease(7, 5.0, 0.25),) * 2


def test_one_connection_serves_many_renewals_at_once(tmp_path):
    async def scenario():
        async with serving(tmp_path, Granting()) as server:
            authority = SocketAuthority(tmp_path)
            asks = [Ask(ASK.quota, 0, wanted) for wanted in range(50)]
            answers = await asyncio.gather(*(authority.renew("w", [ask]) for ask in asks))
            connections = len(server._connections)
            await authority.close()
        return [leases[0].amount for leases in answers], connections

    amounts, connections = run(scenario())
    assert amounts == list(range(50))
    assert connections == 1


def test_the_socket_is_for_its_owner_alone(tmp_path):
    async def scenario():
        async with serving(tmp_path, Granting()):
            status = socket_path(tmp_path).stat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600
        assert not socket_path(tmp_path).exists()

    run(scenario())


def test_a_path_that_is_too_long_is_served_from_the_temporary_folder(tmp_path, monkeypatch):
    storage = tmp_path / ("deep" * 30)
    storage.mkdir()
    short = Path("/tmp") / f"hw-{os.getpid()}"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))

    async def scenario():
        async with serving(storage, Granting()):
            path = socket_path(storage)
            assert path.is_relative_to(short)
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            authority = SocketAuthority(storage)
            leases = await authority.renew("w", [ASK])
            await authority.close()
            return leases

    try:
        assert run(scenario())[0].amount == 7
        assert socket_path(storage) != socket_path(tmp_path / ("deep" * 31))
    finally:
        subprocess.run(["rm", "-r", str(short)], check=True)


def test_a_temporary_folder_that_others_may_enter_is_not_used(tmp_path, monkeypatch):
    storage = tmp_path / ("deep" * 30)
    storage.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    socket_path(storage).parent.mkdir()
    socket_path(storage).parent.chmod(0o755)
    with pytest.raises(StorageError, match="belongs to somebody else; remove it"):
        run(LeaseServer(storage, Granting, say=pytest.fail).start())


def test_what_a_dead_gateway_left_is_replaced(tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(socket_path(tmp_path)))
    left.close()

    async def scenario():
        async with serving(tmp_path, Granting()):
            authority = SocketAuthority(tmp_path)
            leases = await authority.renew("w", [ASK])
            await authority.close()
            return leases

    assert run(scenario())[0].amount == 7


def test_the_socket_of_a_living_gateway_is_not_stolen(tmp_path):
    async def scenario():
        first, second = Granting(), Granting()
        async with serving(tmp_path, first):
            with pytest.raises(StorageError, match="serves leases already; give each gateway its own storage folder"):
                await LeaseServer(tmp_path, lambda: second, say=pytest.fail).start()
            authority = SocketAuthority(tmp_path)
            await authority.renew("w", [ASK])
            await authority.close()
        return first.asked, second.asked

    first, second = run(scenario())
    assert len(first) == 1
    assert not second


def test_a_server_whose_authority_cannot_be_made_leaves_the_socket_to_the_next(tmp_path):
    def fail():
        raise StorageError("no books")

    async def scenario():
        with pytest.raises(StorageError, match="no books"):
            await LeaseServer(tmp_path, fail, say=pytest.fail).start()
        async with serving(tmp_path, Granting()):
            authority = SocketAuthority(tmp_path)
            leases = await authority.renew("w", [ASK])
            await authority.close()
            return leases

    assert run(scenario())[0].amount == 7


def test_without_a_control_plane_the_worker_is_told_so_at_once(tmp_path):
    authority = SocketAuthority(tmp_path, timeout_s=30.0)
    began_s = time.monotonic()
    with pytest.raises(LimitsUnavailable, match=r"control plane at .*limits\.sock, cannot be reached: No such file"):
        run(authority.renew("w", [ASK]))
    assert time.monotonic() - began_s < 30.0


def test_after_a_failure_there_is_a_pause_that_grows(tmp_path):
    async def scenario():
        authority = SocketAuthority(tmp_path)
        pauses = []
        for _ in range(8):
            with pytest.raises(LimitsUnavailable):
                await authority.renew("w", [ASK])
            link = authority._link
            pauses.append(link._retry_at_s - asyncio.get_running_loop().time())
            with pytest.raises(LimitsUnavailable, match="it is tried again in"):
                await authority.renew("w", [ASK])
            link._retry_at_s = 0.0
        return pauses

    pauses = run(scenario())
    assert pauses[0] <= 0.1
    assert LONGEST_PAUSE_S / 2 * 0.9 < pauses[-1] <= LONGEST_PAUSE_S
    assert all(later > earlier * 0.4 for earlier, later in itertools.pairwise(pauses))


def test_the_reason_of_an_authority_that_grants_nothing_is_passed_on(tmp_path):
    async def scenario():
        granting = Granting()
        async with serving(tmp_path, granting):
            authority = SocketAuthority(tmp_path)
            granting.trouble = "Valkey is away"
            with pytest.raises(LimitsUnavailable, match="the control plane grants no leases: Valkey is away"):
                await authority.renew("w", [ASK])
            granting.trouble = ""
            leases = await authority.renew("w", [ASK])
            await authority.close()
            return leases

    assert run(scenario())[0].amount == 7


def test_a_renewal_that_its_worker_has_given_up_is_not_granted(tmp_path):
    async def scenario():
        granting = Granting()
        async with serving(tmp_path, granting, now=lambda: time.monotonic() + 9.0):
            authority = SocketAuthority(tmp_path)
            with pytest.raises(LimitsUnavailable, match="came too late"):
                await authority.renew("w", [ASK])
            await authority.close()
        return granting.asked

    assert run(scenario()) == []


def test_a_renewal_that_a_later_one_overtook_is_not_granted(tmp_path):
    async def answer(streams, number):
        renewal = Renewal(number, time.monotonic() + 9.0, "w", (ASK,))
        reader, writer = streams
        writer.write(frame_renewal(renewal))
        return read_answer(await reader.readexactly(body_bytes(await reader.readexactly(HEAD_BYTES))))

    async def scenario():
        granting = Granting()
        async with serving(tmp_path, granting):
            streams = await asyncio.open_unix_connection(socket_path(tmp_path))
            answers = [await answer(streams, number) for number in (1, 3, 2, 3, 4)]
            streams[1].close()
        return [type(answer) for answer in answers], len(granting.asked)

    answers, asked = run(scenario())
    assert answers == [Granted, Granted, Declined, Declined, Granted]
    assert asked == 3


def test_no_answer_in_time_is_told_in_time_and_the_next_renewal_gets_its_own_answer(tmp_path):
    class Hanging(Granting):
        def __init__(self):
            super().__init__()
            self.go_on = asyncio.Event()

        async def renew(self, holder, asks):
            if asks[0].wanted == 1:
                await self.go_on.wait()
            return await super().renew(holder, asks)

    async def scenario():
        hanging = Hanging()
        async with serving(tmp_path, hanging):
            authority = SocketAuthority(tmp_path, timeout_s=0.3)
            with pytest.raises(LimitsUnavailable, match=r"did not answer within 0\.3 s"):
                await authority.renew("w", [Ask(ASK.quota, 0, 1)])
            hanging.go_on.set()
            leases = await soon(authority)
            await authority.close()
            return leases

    assert run(scenario())[0].amount == 7


def test_a_cancelled_renewal_takes_its_connection_with_it(tmp_path):
    class Hanging(Granting):
        def __init__(self):
            super().__init__()
            self.hangs = asyncio.Event()

        async def renew(self, holder, asks):
            if asks[0].wanted == 1:
                self.hangs.set()
                await asyncio.Event().wait()
            return await super().renew(holder, asks)

    async def scenario():
        hanging = Hanging()
        async with serving(tmp_path, hanging):
            authority = SocketAuthority(tmp_path)
            await authority.renew("w", [ASK])
            task = asyncio.create_task(authority.renew("w", [Ask(ASK.quota, 0, 1)]))
            await hanging.hangs.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            leases = await authority.renew("w", [ASK])
            await authority.close()
            return leases

    assert run(scenario())[0].amount == 7


def test_a_connection_that_sends_something_else_is_closed_and_told_of(tmp_path):
    async def scenario():
        said = []
        async with serving(tmp_path, Granting(), say=said.append):
            reader, writer = await asyncio.open_unix_connection(socket_path(tmp_path))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await reader.read() == b""
            writer.close()
            authority = SocketAuthority(tmp_path)
            assert (await authority.renew("w", [ASK]))[0].amount == 7
            await authority.close()
        return said

    (said,) = run(scenario())
    assert "not a frame of leases" in said


def test_a_control_plane_that_speaks_something_else_is_told_of(tmp_path):
    async def scenario():
        async def answer(_reader, writer):
            writer.write(b"HWL\x09\x00\x00\x00\x01x")
            writer.close()

        server = await asyncio.start_unix_server(answer, socket_path(tmp_path))
        async with server:
            with pytest.raises(LimitsUnavailable, match=r"a frame of version 9.* are all processes .* of one release"):
                await SocketAuthority(tmp_path).renew("w", [ASK])

    run(scenario())


def test_a_server_that_starts_again_is_found_without_a_failure_in_between(tmp_path):
    async def scenario():
        authority = SocketAuthority(tmp_path)
        async with serving(tmp_path, Granting()):
            await authority.renew("w", [ASK])
        async with serving(tmp_path, Granting()):
            while authority._link._streams.is_open:
                await asyncio.sleep(0)  # till the loop hears that the old connection is closed
            leases = await authority.renew("w", [ASK])
            await authority.close()
            return leases

    assert run(scenario())[0].amount == 7


def test_a_control_plane_that_is_killed_is_replaced_by_the_next(tmp_path, start):
    async def scenario():
        authority = SocketAuthority(tmp_path)
        for _ in range(3):
            process = start()
            assert (await soon(authority))[0].amount == 7
            process.kill()
            process.wait()
            with pytest.raises(LimitsUnavailable):
                await authority.renew("w", [ASK])
        assert socket_path(tmp_path).exists()  # what the last one left
        start()
        await soon(authority)
        await authority.close()

    run(scenario())


def test_a_control_plane_that_is_paused_is_told_of_in_time_and_recovers(tmp_path, start):
    async def scenario():
        process = start()
        authority = SocketAuthority(tmp_path, timeout_s=0.3)
        await soon(authority)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # it stops a moment later
        with pytest.raises(LimitsUnavailable, match=r"did not answer within 0\.3 s"):
            await authority.renew("w", [ASK])
        process.send_signal(signal.SIGCONT)
        await soon(authority)
        await authority.close()

    run(scenario())


def test_who_comes_second_serves_when_the_first_is_gone(tmp_path, start):
    async def scenario():
        first = start()
        authority = SocketAuthority(tmp_path)
        await soon(authority)
        second = start()
        line = await asyncio.get_running_loop().run_in_executor(None, second.stdout.readline)
        assert "leases of shared limits are not served for now" in line
        first.kill()
        first.wait()
        assert (await soon(authority))[0].amount == 7
        assert second.poll() is None
        await authority.close()

    run(scenario())


def test_leases_are_served_beside_other_work_and_not_after_it(tmp_path):
    with serving_leases(tmp_path, Granting, say=pytest.fail):

        async def scenario():
            authority = SocketAuthority(tmp_path)
            leases = await soon(authority)
            await authority.close()
            return leases

        assert run(scenario())[0].amount == 7
    assert not socket_path(tmp_path).exists()
