import asyncio
import contextlib
import itertools
import ssl
import time

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import LimitsUnavailable
from headworks.limits import Ask, Quota
from headworks.limits.link import LinkError
from headworks.limits.resp import Address, ErrorReply, encode, read_reply
from headworks.limits.valkey import ValkeyAuthority

LEASE_S = 0.2
PATIENT_S, IMPATIENT_S = 30.0, 0.3
"""How long an answer may take: where Valkey is well it comes, however busy the machine; where it stands still, none."""

MINUTE = Quota("openai/main/m/rpm", 600, 60.0)  # ten a second

numbers = itertools.count()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


@contextlib.asynccontextmanager
async def reaching(url, **options):
    authority = ValkeyAuthority(url, **{"lease_s": LEASE_S, "timeout_s": PATIENT_S, **options})
    try:
        yield authority
    finally:
        await authority.close()


async def soon(authority, asks, holder="w", within_s=50.0):
    """The leases of the first renewal that succeeds, and how often it failed before."""
    due_s = time.monotonic() + within_s
    for failures in itertools.count():
        try:
            return await authority.renew(holder, asks), failures
        except LimitsUnavailable:
            if time.monotonic() > due_s:
                raise
            await asyncio.sleep(0.01)
    raise AssertionError


class Spending:
    """Several who spend all that they get, as fast as they get it, until they are stopped. State: how much that is."""

    def __init__(self, authorities, quota):
        self.total = 0
        self.began_s = time.monotonic()
        self._is_over = False
        self._tasks = [
            asyncio.create_task(self._spend(each, f"w{number}", quota)) for number, each in enumerate(authorities)
        ]

    async def _spend(self, authority, holder, quota):
        unsaid = 0
        while not self._is_over:
            try:
                (lease,) = await authority.renew(holder, [Ask(quota, unsaid, quota.amount)])
            except LimitsUnavailable:  # away is not over
                await asyncio.sleep(0.005)
                continue
            unsaid = lease.amount
            self.total += lease.amount

    async def reaches(self, total):
        """It will come to that."""
        while self.total < total:
            await asyncio.sleep(0.005)

    async def stop(self):
        """How much it was, and how long it took."""
        self._is_over = True
        await asyncio.gather(*self._tasks)
        return self.total, time.monotonic() - self.began_s


@pytest.fixture
def prefix():
    return f"fault-{next(numbers)}"


def test_units_are_leased_over_a_real_connection(shared_valkey, prefix):
    async def scenario():
        async with reaching(shared_valkey.url, prefix=prefix, fresh=1.0) as authority:
            leases, _ = await soon(authority, [Ask(MINUTE, 0, 7), Ask(Quota("other", 50, 1.0), 0, 3)])
            return leases

    first, second = run(scenario())
    assert (first.amount, first.expires_s, first.wait_s) == (7, LEASE_S, 0.0)
    assert second.amount == 3


def test_workers_of_several_machines_never_spend_more_than_the_quota_together(shared_valkey, prefix):
    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            authorities = [
                await stack.enter_async_context(reaching(shared_valkey.url, prefix=prefix, fresh=1.0)) for _ in range(6)
            ]
            await soon(authorities[0], [Ask(Quota("opens the books", 1, 1.0), 0, 0)])
            spending = Spending(authorities, MINUTE)
            await spending.reaches(600)
            return await spending.stop()

    total, took_s = run(scenario())
    assert total <= 600 + 10 * took_s


def test_nobody_there_is_told_at_once_and_without_the_password(start_valkey):
    async def scenario():
        async with reaching("valkey://me:s3cret@127.0.0.1:1/0") as authority:
            began_s = time.monotonic()
            with pytest.raises(LimitsUnavailable, match=r"Valkey at 127\.0\.0\.1:1, cannot be reached") as raised:
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
            assert time.monotonic() - began_s < PATIENT_S
            return str(raised.value)

    assert "s3cret" not in run(scenario())


def test_a_valkey_that_is_paused_is_told_of_in_time_and_comes_back_by_itself(start_valkey):
    async def scenario():
        server = start_valkey()
        async with reaching(server.url, timeout_s=IMPATIENT_S) as authority:
            await soon(authority, [Ask(MINUTE, 0, 1)])
            server.pause()
            with pytest.raises(LimitsUnavailable, match=r"did not answer within 0\.3 s"):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
            server.resume()
            await soon(authority, [Ask(MINUTE, 0, 1)])

    run(scenario())


def test_a_renewal_that_was_given_up_is_not_granted_when_a_paused_valkey_goes_on(start_valkey):
    slow = Quota("slow", 100, 100_000.0)

    async def scenario():
        server = start_valkey()
        async with reaching(server.url, fresh=1.0, timeout_s=IMPATIENT_S) as authority:
            await soon(authority, [Ask(slow, 0, 0)])
            server.pause()
            with pytest.raises(LimitsUnavailable):
                await authority.renew("given up", [Ask(slow, 0, 50)])
            server.resume()
            (lease,), _ = await soon(authority, [Ask(slow, 0, 50)], holder="other")
            return lease.amount, server.ask("HEXISTS", "{headworks}:limits:of:slow", "'h:given up'")

    amount, known = run(scenario())
    assert amount == 50
    assert known == b":0\r\n"


@pytest.mark.parametrize("how", ["killed", "stopped", "paused", "flushed"])
def test_whatever_happens_to_valkey_under_load_no_more_is_spent_than_the_quota(start_valkey, how):
    async def scenario():
        server = start_valkey()
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            authorities = [
                await stack.enter_async_context(reaching(server.url, fresh=0.0, timeout_s=IMPATIENT_S))
                for _ in range(4)
            ]
            # Books that are old enough for the quota to be full.
            quota = Quota("q", 100, 0.5)
            await soon(authorities[0], [Ask(quota, 0, 0)])
            await asyncio.sleep(0.6)
            spending = Spending(authorities, quota)
            await spending.reaches(150)  # more than what was free at first
            if how == "paused":
                server.pause()
                await asyncio.sleep(0.5)  # more than they wait
                server.resume()
            elif how == "flushed":
                server.ask("FLUSHALL")
            else:
                await loop.run_in_executor(None, server.kill if how == "killed" else server.stop)
                await loop.run_in_executor(None, server.start)
            await spending.reaches(spending.total + 50)  # it goes on afterwards, too
            return await spending.stop()

    total, took_s = run(scenario())
    assert total <= 100 + 200 * took_s


def test_a_valkey_that_comes_back_empty_does_not_hand_out_the_quota_again(start_valkey):
    day = Quota("rpd", 10_000, 86_400.0)

    async def scenario():
        server = start_valkey()
        async with reaching(server.url) as authority:
            await soon(authority, [Ask(day, 0, 0)])
            server.kill()
            server.start()
            with pytest.raises(LimitsUnavailable):  # the connection is broken
                await authority.renew("w", [Ask(day, 0, 10_000)])
            while True:
                with pytest.raises(LimitsUnavailable) as raised:
                    await authority.renew("w", [Ask(day, 0, 10_000)])
                if "tried again" not in str(raised.value):
                    break
                await asyncio.sleep(0.01)
            (lease,), _ = await soon(authority, [Ask(day, 0, 10_000)])
            return str(raised.value), lease.amount

    said, amount = run(scenario())
    assert "came without the books of limits and waits until leases of before have expired, 0." in said
    assert amount <= 1


def test_a_share_of_the_quota_may_be_free_where_the_books_are_new(start_valkey):
    async def scenario():
        async with reaching(start_valkey().url, fresh=0.1) as authority:
            (lease,), _ = await soon(authority, [Ask(Quota("rpd", 10_000, 86_400.0), 0, 300)])
            return lease.amount

    assert run(scenario()) == 300


def test_a_snapshot_that_is_older_than_what_was_granted_is_not_believed(start_valkey):
    day = Quota("rpd", 10_000, 86_400.0)

    async def scenario():
        server = start_valkey()
        async with reaching(server.url, fresh=1.0) as authority:
            await soon(authority, [Ask(day, 0, 0)])
            server.ask("SAVE")
            server.kill()
            server.start()
        async with reaching(server.url, fresh=0.0) as authority:
            with pytest.raises(LimitsUnavailable, match="came without the books"):
                await authority.renew("w", [Ask(day, 0, 10_000)])
            (lease,), _ = await soon(authority, [Ask(day, 0, 10_000)])
            return lease.amount

    assert run(scenario()) <= 1


def test_books_in_an_append_only_file_are_believed_after_a_kill(start_valkey):
    day = Quota("rpd", 10_000, 86_400.0)

    async def scenario():
        server = start_valkey("--appendonly", "yes")
        async with reaching(server.url, fresh=1.0) as authority:
            (before,), _ = await soon(authority, [Ask(day, 0, 4_000)])
            server.kill()
            server.start()
        async with reaching(server.url, fresh=0.0) as authority:
            (after,) = await authority.renew("other", [Ask(day, 0, 10_000)])
            return before.amount, after.amount

    before, after = run(scenario())
    assert before == 4_000
    assert after == 3_000  # half of what is free


def test_where_keys_may_be_thrown_away_an_unknown_quota_begins_empty(start_valkey):
    async def scenario():
        server = start_valkey("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        async with reaching(server.url) as authority:
            await soon(authority, [Ask(MINUTE, 0, 0)])
            quick = Quota("quick", 1000, 0.05)  # full within a twentieth of a second, were it known
            await asyncio.sleep(0.1)
            (lease,) = await authority.renew("w", [Ask(quick, 0, 1000)])
            return lease.amount

    assert run(scenario()) == 0


def test_keys_of_quotas_that_nobody_uses_go_away(shared_valkey, prefix):
    async def scenario():
        async with reaching(shared_valkey.url, prefix=prefix, fresh=1.0) as authority:
            await soon(authority, [Ask(MINUTE, 0, 300)])
            await authority.renew("w", [Ask(MINUTE, 300, 0)])
            return int(shared_valkey.ask("PTTL", f"{{{prefix}}}:limits:of:{MINUTE.name}")[1:])

    assert 15_000 < run(scenario()) < 31_000  # till it is full again


def test_scripts_that_were_flushed_are_sent_again(shared_valkey, prefix):
    async def scenario():
        async with reaching(shared_valkey.url, prefix=prefix, fresh=1.0) as authority:
            await soon(authority, [Ask(MINUTE, 0, 1)])
            shared_valkey.ask("SCRIPT", "FLUSH")
            return await authority.renew("w", [Ask(MINUTE, 0, 2)])

    assert run(scenario())[0].amount == 2


def test_a_replica_says_that_it_cannot_be_written(start_valkey):
    async def scenario():
        server = start_valkey()
        async with reaching(server.url) as authority:
            await soon(authority, [Ask(MINUTE, 0, 1)])
            server.ask("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(LimitsUnavailable, match="is a replica now and cannot be written"):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
            server.ask("REPLICAOF", "NO", "ONE")
            await soon(authority, [Ask(MINUTE, 0, 1)])

    run(scenario())


def test_a_password_is_used_and_a_wrong_one_is_told_but_not_shown(start_valkey):
    async def scenario():
        server = start_valkey("--requirepass", "right/one")
        place = server.url.removeprefix("valkey://")
        async with reaching(f"redis://:right%2Fone@{place}/3") as authority:
            await soon(authority, [Ask(MINUTE, 0, 1)])
        async with reaching(f"redis://:wr0ng@{place}") as authority:
            with pytest.raises(LimitsUnavailable, match="does not accept the password of its URL") as raised:
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
            assert "wr0ng" not in str(raised.value)
        async with reaching(f"redis://{place}") as authority:
            with pytest.raises(LimitsUnavailable, match="wants a password; write it into the URL"):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
        async with reaching(f"redis://:right%2Fone@{place}/99") as authority:
            with pytest.raises(LimitsUnavailable, match="does not have the database of its URL"):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])

    run(scenario())


def test_the_rights_that_a_user_needs_are_those_that_the_message_names(start_valkey):
    async def scenario():
        server = start_valkey()
        rights = "+evalsha +eval +script|load +time +info +hset +hget +hmget +hgetall +hdel +del +pexpire"
        server.ask("ACL SETUSER limits on >secret resetkeys ~{headworks}:limits:* -@all " + rights)
        server.ask("ACL SETUSER nobody on >secret resetkeys ~{headworks}:limits:* -@all +script|load +hget")
        place = server.url.removeprefix("valkey://")
        async with reaching(f"valkey://limits:secret@{place}") as authority:
            await soon(authority, [Ask(MINUTE, 0, 1)])
        async with reaching(f"valkey://nobody:secret@{place}") as authority:
            with pytest.raises(LimitsUnavailable, match="does not let this user do it; allow") as raised:
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
            assert rights in str(raised.value)

    run(scenario())


def test_in_a_cluster_the_node_that_has_the_keys_is_found_and_followed(start_valkey):
    async def scenario():
        nodes = [start_valkey("--cluster-enabled", "yes") for _ in range(2)]
        nodes[0].ask("CLUSTER ADDSLOTSRANGE 0 8191")
        nodes[1].ask("CLUSTER ADDSLOTSRANGE 8192 16383")
        nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port))
        while any(b"cluster_state:ok" not in node.ask("CLUSTER INFO") for node in nodes):
            await asyncio.sleep(0.02)
        for node in nodes:
            async with reaching(node.url, fresh=1.0) as authority:
                leases, _ = await soon(authority, [Ask(MINUTE, 0, 1), Ask(Quota("other", 10, 1.0), 0, 2)])
                assert [lease.amount for lease in leases] == [1, 2]
        slot = int(nodes[0].ask("CLUSTER KEYSLOT {headworks}")[1:])
        owner, other = nodes if slot < 8192 else nodes[::-1]
        async with reaching(other.url, timeout_s=IMPATIENT_S) as authority:
            await soon(authority, [Ask(MINUTE, 0, 1)])
            owner.pause()
            with pytest.raises(LimitsUnavailable):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])
            owner.resume()
            await soon(authority, [Ask(MINUTE, 0, 1)])

    run(scenario())


def test_tls_is_spoken_and_a_certificate_that_nobody_vouches_for_is_refused(shared_valkey, prefix, tmp_path):
    authority_of_certificates = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority_of_certificates.cert_pem.write_to_path(ca_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority_of_certificates.issue_cert("localhost").configure_cert(context)

    async def relay(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            return
        finally:
            writer.close()

    async def terminate(reader, writer):
        plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", shared_valkey.port)
        await asyncio.gather(relay(reader, plain_writer), relay(plain_reader, writer))

    async def scenario():
        server = await asyncio.start_server(terminate, "localhost", 0, ssl=context)
        url = f"valkeys://localhost:{server.sockets[0].getsockname()[1]}"
        async with server:
            async with reaching(url, prefix=prefix, ca_file=str(ca_file)) as authority:
                await soon(authority, [Ask(MINUTE, 0, 1)])
            async with reaching(url, prefix=prefix) as authority:
                with pytest.raises(LimitsUnavailable, match=r"cannot be reached.*certificate"):
                    await authority.renew("w", [Ask(MINUTE, 0, 1)])

    run(scenario())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 100_000, b"*1\r\n$1\r\na\r\n", b""])
def test_something_else_at_the_address_is_told_of(answer):
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async def scenario():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, reaching(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as authority:
            with pytest.raises(LimitsUnavailable, match=r"is it Valkey|closed the connection|Connection reset"):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])

    run(scenario())


@pytest.mark.parametrize(
    "said",
    [b"$4\r\nfine\r\n", b"$5\r\nok 1 \r\n", b"$-1\r\n", b":7\r\n", b"$15\r\nok 1.0 nan 5 0 x\r\n", b"$4\r\nlate\r\n"],
)
def test_an_answer_that_the_script_does_not_give_is_refused(said):
    async def serve(reader, writer):
        for reply in (b"$-1\r\n", b"+sha\r\n", said):
            await reader.read(65536)
            writer.write(reply)
        await reader.read()
        writer.close()

    async def scenario():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, reaching(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as authority:
            with pytest.raises(LimitsUnavailable, match=r"something that the script does not say|no reply"):
                await authority.renew("w", [Ask(MINUTE, 0, 1)])

    run(scenario())


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("valkey://valkey.internal", Address("valkey.internal", 6379)),
        ("redis://valkey.internal:7000/2", Address("valkey.internal", 7000, database=2)),
        ("rediss://me:p%40ss@[::1]:7000", Address("::1", 7000, True, "me", "p@ss")),
        ("valkeys://:p@h", Address("h", 6379, True, "", "p")),
    ],
)
def test_an_address_is_read_from_its_url(url, address):
    assert Address.from_url(url) == address
    assert "p@ss" not in repr(Address.from_url(url))


@pytest.mark.parametrize(
    "url",
    ["", "valkey.internal:6379", "http://s3cret@h", "valkey://", "valkey://:s3cret@h:port", "valkey://h/s3cret",
     "valkey://h/-1", "valkey://h?password=s3cret", "valkey://:s3#cret@h", "valkey://[s3cret"],
)  # fmt: skip
def test_a_url_that_is_none_is_refused_and_not_shown(url):
    with pytest.raises(LimitsUnavailable, match="expected valkey://") as raised:
        ValkeyAuthority(url)
    assert "s3" not in str(raised.value)
    assert raised.value.__cause__ is None


def read(data):
    async def scenario():
        reader = asyncio.StreamReader(limit=1024)
        reader.feed_data(data)
        reader.feed_eof()
        return await read_reply(reader)

    return asyncio.run(scenario())


@given(st.binary(max_size=200))
def test_a_string_comes_out_as_it_went_in(data):
    assert read(encode(data).removeprefix(b"*1\r\n")) == data


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_comes_out_as_it_went_in(number):
    assert read(b":%d\r\n" % number) == number


def test_an_error_is_a_value():
    assert read(b"-MOVED 3999 127.0.0.1:6381\r\n") == ErrorReply("MOVED", "3999 127.0.0.1:6381")


@given(st.sampled_from([b"", b"$", b":", b"-", b"+", b"*", b"$5\r\n"]), st.binary(max_size=40))
def test_bytes_of_somebody_else_are_refused_and_nothing_else(start, data):
    try:
        reply = read(start + data)
    except (LinkError, EOFError):
        return
    assert reply is None or isinstance(reply, bytes | int | ErrorReply)
