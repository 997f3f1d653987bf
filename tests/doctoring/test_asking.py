"""Reaching a server and hearing its answer, with the words for whatever keeps us from it."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from played_servers import NOW_S, answer, serving

from headworks.calls import Failure, FailureKind
from headworks.doctoring.asking import Heard, _Listener, asking, clock_finding, is_unreachable, reach
from headworks.exchange import Timeouts, UpstreamRequest, request_line
from headworks.headers import RawHeaders
from headworks.transport import Origin

GET = UpstreamRequest(request_line("GET", "/x"), b"")


def reached(origin, **given):
    return asyncio.run(reach(origin, **({"now_s": NOW_S} | given)))


def test_an_answer_is_heard_whole_with_the_time_of_each_piece(monkeypatch):
    async def slowly(writer):
        writer.write(b"HTTP/1.0 200 OK\r\n\r\none")
        await writer.drain()
        await is_heard.wait()  # the second leaves when the first has come, however slow the machine is
        between_s.append(asyncio.get_running_loop().time())
        writer.write(b"two")
        writer.close()

    is_heard, between_s = asyncio.Event(), []
    on_body = _Listener.on_body

    def hear(listener, data):
        on_body(listener, data)
        is_heard.set()

    monkeypatch.setattr(_Listener, "on_body", hear)

    async def run():
        async with serving({"GET /x": slowly}) as server, asking("it", Origin.from_url(server.url)) as asker:
            return await asker.ask(GET)

    heard = asyncio.run(run())
    assert (heard.status, heard.body, heard.is_http10, heard.failure) == (200, b"onetwo", True, None)
    first, second = heard.pieces
    assert heard.sent_s <= heard.head_s <= first.at_s <= between_s[0] <= second.at_s


def test_a_server_that_says_nothing_or_breaks_off_is_heard_as_a_failure():
    async def run(said):
        async with serving({"GET /x": said}) as server, asking("it", Origin.from_url(server.url)) as asker:
            return await asker.ask(GET, Timeouts(first_byte_s=0.1, total_s=1.0))

    async def never(_):
        await asyncio.sleep(3600)

    assert asyncio.run(run(None)).failure.kind is FailureKind.BROKEN
    silent = asyncio.run(run(never)).failure
    assert silent.kind is FailureKind.TIMEOUT
    assert is_unreachable(silent)


def test_where_nobody_listens_the_callers_own_way_out_is_shown():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    (finding,) = reached(Origin("127.0.0.1", port, is_tls=False), way_out="start it")
    assert (finding.verdict, finding.says, finding.way_out) == (
        "problem",
        f"nothing listens at 127.0.0.1:{port}",
        "start it",
    )


def test_a_name_that_does_not_resolve_is_named():
    (finding,) = reached(Origin("no-such-host.invalid", 443, is_tls=False))
    assert "no-such-host.invalid does not resolve" in finding.says
    assert "resolver" in finding.way_out


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def tls_server(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def over_tls(certificate, ca_file, host="localhost", now_s=None):
    async def run():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=tls_server(certificate))
        try:
            origin = Origin(host, server.sockets[0].getsockname()[1], is_tls=True, ca_file=ca_file)
            return await reach(origin, now_s=now_s or datetime.now(UTC).timestamp())
        finally:
            server.close()

    return asyncio.run(run())


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def test_tls_is_said_with_its_version_and_a_certificate_that_ends_soon_with_its_days(authority, ca_file):
    good = authority.issue_cert("localhost")
    (finding,) = over_tls(good, ca_file)
    assert finding.says.endswith("TLSv1.3")

    soon = authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=3, hours=1))
    _, certificate = over_tls(soon, ca_file)
    assert (certificate.verdict, certificate.figures["days_left"]) == ("warning", pytest.approx(3, abs=0.1))


def test_a_certificate_of_an_unknown_authority_or_for_another_name_is_said_to_be_so(authority, ca_file, tmp_path):
    (unknown,) = over_tls(trustme.CA().issue_cert("localhost"), ca_file)
    assert "is not accepted" in unknown.says
    assert "ca_file" in unknown.way_out

    (other,) = over_tls(authority.issue_cert("example.org"), ca_file)
    assert "not valid for 'localhost'" in other.says


def test_a_port_without_tls_and_a_proxy_that_refuses_are_told_apart():
    async def run():
        async with serving({"GET": answer(200)}) as server:
            plain = await reach(Origin("127.0.0.1", server.port, is_tls=True), now_s=NOW_S)
            proxied = Origin("api.example", 443, is_tls=True, proxy=server.url)
            return plain, await reach(proxied, now_s=NOW_S)

    plain, proxied = asyncio.run(run())
    assert plain[0].verdict == "problem"
    assert "the proxy answered CONNECT with 404" in proxied[0].says
    assert "allow CONNECT to api.example:443" in proxied[0].way_out


def heard_at(date, took_s=0.2):
    return Heard(200, RawHeaders(f"HTTP/1.1 200 OK\r\ndate: {date}\r\n".encode()), (), 10.0, 10.0 + took_s, 10.5)


@given(skew_s=st.floats(-1.4, 1.4), took_s=st.floats(0, 0.5))
def test_clocks_that_agree_within_what_a_date_can_say_are_well(skew_s, took_s):
    written = datetime.fromtimestamp(int(NOW_S - 0.5 + took_s / 2 - skew_s), UTC)
    finding = clock_finding(heard_at(format_datetime(written, usegmt=True), took_s), "it", now_s=NOW_S)
    assert finding.verdict == "ok"


@pytest.mark.parametrize(("skew_s", "verdict"), [(-7, "warning"), (7, "warning"), (-90, "problem"), (3600, "problem")])
def test_clocks_that_differ_are_a_warning_and_by_much_a_problem(skew_s, verdict):
    written = datetime.fromtimestamp(int(NOW_S - skew_s), UTC)
    finding = clock_finding(heard_at(format_datetime(written, usegmt=True)), "it", now_s=NOW_S)
    assert finding.verdict == verdict
    assert finding.figures["skew_s"] == pytest.approx(skew_s, abs=1.5)
    assert "timedatectl" in finding.way_out


def test_an_answer_without_a_date_says_nothing_of_clocks():
    assert clock_finding(heard_at("soon"), "it", now_s=NOW_S) is None


@pytest.mark.parametrize(("is_ours", "where"), [(True, "here and there"), (False, "set by NTP here")])
def test_of_two_clocks_of_ours_either_may_be_wrong(is_ours, where):
    written = datetime.fromtimestamp(NOW_S - 3600, UTC)
    heard = heard_at(format_datetime(written, usegmt=True))
    assert where in clock_finding(heard, "it", now_s=NOW_S, is_ours=is_ours).way_out
    assert not is_unreachable(Failure(FailureKind.BROKEN, "x"))
