"""The admin API's process, in this one: a real listener, and the other end of the supervisor's socket in our hands."""

import asyncio
import http.client
import json
import socket
import ssl
from urllib.parse import urlsplit

import pytest
import trustme

from headworks.access import AT_THE_SHELL, Role
from headworks.admin import Desk
from headworks.admin.keys import NewKey, make_key
from headworks.admin.serving import AdminProcess
from headworks.config import Examination, parse
from headworks.errors import StorageError
from headworks.server.messages import FrameReader, Word, frame
from tests.admin.conftest import TEXT


class Supervisor:
    """What the process hears, and what it says."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.answer = b""
        self.asked = 0

    def ask(self):
        self.asked += 1
        if self.answer:
            self.ours.send(self.answer)

    async def hear(self):
        return FrameReader().feed(await asyncio.get_running_loop().sock_recv(self.ours, 100))


def ask(base, method, path, key, context=None):
    netloc = urlsplit(base).netloc
    if context is None:
        connection = http.client.HTTPConnection(netloc, timeout=30)
    else:
        connection = http.client.HTTPSConnection(netloc, timeout=30, context=context)
    try:
        connection.request(method, path, headers={"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture
def supervisor():
    one = Supervisor()
    yield one
    one.ours.close()
    one.theirs.close()


def run(project, supervisor, scenario):
    """Serve, do, and go as when the supervisor is gone."""

    async def all_of_it():
        def given(content):
            return parse(content.decode(), file=str(project.file), base=project.folder)

        process = AdminProcess(
            project, supervisor.theirs, lambda _: Examination(), given, ask_supervisor=supervisor.ask
        )
        serving = asyncio.create_task(process.serve())
        heard = asyncio.create_task(supervisor.hear())
        await asyncio.wait({serving, heard}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            heard.cancel()
            serving.result()
        assert heard.result() == [(Word.READY, b"")]
        try:
            await asyncio.to_thread(scenario, process.address)
        finally:
            supervisor.ours.close()
            await asyncio.wait_for(serving, 30)

    asyncio.run(all_of_it())


def project_of(folder, text):
    file = folder / "headworks.yaml"
    file.write_text(text)
    return parse(text, file=str(file), base=folder)


def boss(project):
    return make_key(Desk(project, AT_THE_SHELL, lambda *_: None), NewKey(role=Role.ADMIN))[1]


def test_a_reload_is_answered_when_the_new_configuration_is_in_force(tmp_path, supervisor):
    text = f"{TEXT}admin: {{port: 0}}\n"
    project = project_of(tmp_path, text)
    key = boss(project)

    def scenario(base):
        supervisor.answer = frame(Word.GIVEN, text.replace("nano:", "mini:").encode())
        status, reloaded = ask(base, "POST", "/admin/v1/config/reload", key)
        shown = ask(base, "GET", "/admin/v1/config", key)[1]
        assert (status, reloaded["fingerprint"]) == (200, shown["fingerprint"])
        assert set(shown["config"]["models"]) == {"mini"}

        supervisor.answer = frame(Word.KEPT, b"a change of this needs a restart")
        status, refused = ask(base, "POST", "/admin/v1/config/reload", key)
        assert (status, refused["error"]["code"]) == (409, "config_not_taken")
        assert "needs a restart" in refused["error"]["message"]

        away = text.replace(
            "admin: {port: 0}",
            "admin: {port: 0, sign_in: {url: 'http://127.0.0.1:1', issuer: i, "
            "client_id: c, client_secret: 'file:nowhere', authorization_url: 'http://127.0.0.1:1/a', "
            "token_url: 'http://127.0.0.1:1/t', jwks_file: k}}",
        )
        supervisor.answer = frame(Word.GIVEN, away.encode())
        status, refused = ask(base, "POST", "/admin/v1/config/reload", key)
        assert (status, refused["error"]["code"]) == (409, "config_not_taken")
        assert ask(base, "GET", "/admin/v1/config", key)[1] == shown
        assert supervisor.asked == 3

    run(project, supervisor, scenario)


def test_whoever_waits_for_a_reload_when_the_gateway_stops_is_told(tmp_path, supervisor):
    project = project_of(tmp_path, f"{TEXT}admin: {{port: 0}}\n")
    key = boss(project)
    supervisor.ask = supervisor.ours.close

    def scenario(base):
        status, refused = ask(base, "POST", "/admin/v1/config/reload", key)
        assert (status, refused["error"]["message"]) == (409, "The gateway is stopping.")

    run(project, supervisor, scenario)


def test_it_speaks_tls_where_it_is_told_to(tmp_path, supervisor):
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    certificate = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    project = project_of(tmp_path, f"{TEXT}admin: {{port: 0, tls: {{certificate: both.pem, key: both.pem}}}}\n")
    key = boss(project)

    context = ssl.create_default_context()
    authority.configure_trust(context)

    def scenario(base):
        assert base.startswith("https://127.0.0.1:")
        assert ask(base, "GET", "/admin/v1/me", key, context)[0] == 200

    run(project, supervisor, scenario)


def test_a_port_that_is_taken_is_said(tmp_path, supervisor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project = project_of(tmp_path, f"{TEXT}admin: {{port: {port}}}\n")

        with pytest.raises(StorageError, match=f"cannot listen on 127.0.0.1:{port}"):
            run(project, supervisor, lambda _: None)


def test_requests_that_are_alike_on_one_connection_come_from_one_address(tmp_path, supervisor):
    project = project_of(tmp_path, f"{TEXT}admin: {{port: 0, networks: [127.0.0.0/8]}}\n")
    headers = {"authorization": f"Bearer {boss(project)}", "content-type": "application/json"}

    def scenario(base):
        connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
        statuses = []
        for number in range(4):
            connection.request("POST", "/admin/v1/keys", json.dumps({"name": f"app-{number}"}), headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        assert statuses == [201] * 4

    run(project, supervisor, scenario)


def test_who_holds_all_connections_and_asks_nothing_keeps_nobody_out(tmp_path, supervisor):
    project = project_of(tmp_path, f"{TEXT}admin: {{port: 0}}\n")
    admin = boss(project)
    slow = b"POST /admin/v1/keys HTTP/1.1\r\nhost: a\r\ncontent-length: 200\r\n\r\n{"

    def scenario(base):
        place = urlsplit(base)
        held = []
        for number in range(210):
            held.append(socket.create_connection((place.hostname, place.port), timeout=30))
            held[-1].sendall(slow if number % 2 else b"")
        assert ask(base, "GET", "/admin/v1/roles", admin)[0] == 200
        for one in held:
            one.close()

    run(project, supervisor, scenario)
