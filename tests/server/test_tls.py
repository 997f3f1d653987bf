"""The same server behind TLS."""

import ssl

import pytest
import trustme

from headworks.errors import Refusal

GET = b"GET /echo HTTP/1.1\r\nhost: gateway\r\n\r\n"


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server_context(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("gateway.example").configure_cert(context)
    return context


@pytest.fixture
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_requests_are_served_over_tls(serve, server_context, client_context):
    async def dialogue(served):
        client = await served.connect(ssl=client_context, server_hostname="gateway.example")
        body = b"x" * 500_000
        for _ in range(3):
            head = b"POST /echo HTTP/1.1\r\nhost: gateway\r\ncontent-length: %d\r\n\r\n" % len(body)
            answer = await client.ask(head + body)
            assert answer.body == b"/echo?|" + body

    serve(dialogue, tls=server_context)


def test_a_streamed_answer_goes_out_over_tls_as_it_is_written(serve, server_context, client_context):
    async def dialogue(served):
        client = await served.connect(ssl=client_context, server_hostname="gateway.example")
        client.send(GET.replace(b"echo", b"held"))
        task = await served.application.held.get()
        task.reply.begin(200, b"", b"first")
        assert (await client.head())[0] == 200
        assert await client.reader.readexactly(10) == b"5\r\nfirst\r\n"
        task.reply.end(b"last")
        assert await client.reader.readexactly(14) == b"4\r\nlast\r\n0\r\n\r\n"

    serve(dialogue, tls=server_context)


def test_a_refusal_reaches_a_tls_client_before_the_connection_closes(serve, server_context, client_context):
    async def dialogue(served):
        client = await served.connect(ssl=client_context, server_hostname="gateway.example")
        answer = await client.ask(b"nonsense\r\n\r\n")
        assert answer.status == 400
        assert await client.at_end() == b""
        assert isinstance(served.application.refusals[0], Refusal)

    serve(dialogue, tls=server_context)


def test_a_tls_client_that_goes_cancels_what_runs_for_it(serve, server_context, client_context):
    async def dialogue(served):
        client = await served.connect(ssl=client_context, server_hostname="gateway.example")
        client.send(GET.replace(b"echo", b"held"))
        task = await served.application.held.get()
        client.writer.transport.abort()
        await task.is_cancelled.wait()

    serve(dialogue, tls=server_context)


def test_a_client_that_does_not_know_the_authority_is_not_served(serve, server_context):
    async def dialogue(served):
        with pytest.raises(ssl.SSLCertVerificationError):
            await served.connect(ssl=ssl.create_default_context(), server_hostname="gateway.example")
        assert served.application.requests == []

    serve(dialogue, tls=server_context)


def test_plain_http_on_the_tls_port_gets_nothing(serve, server_context):
    async def dialogue(served):
        client = await served.connect()
        client.send(GET)
        with pytest.raises((EOFError, ConnectionError)):
            await client.answer()
        assert served.application.requests == []

    serve(dialogue, tls=server_context)


def test_a_handshake_that_does_not_come_is_given_up(serve, server_context):
    async def dialogue(served):
        client = await served.connect()
        with pytest.raises((EOFError, ConnectionError)):
            await client.answer()

    serve(dialogue, tls=server_context, header_timeout_s=0.2)
