import asyncio
import json

import pytest

from headworks.errors import Refusal
from headworks.exchange import Request
from headworks.simulator import Plan, Simulator, SimulatorApplication
from headworks.simulator.plan import Cut, Outage

HEADERS = {b"authorization": b"Bearer sk-test", b"content-type": b"application/json"}


class Letter:
    """A reply in memory: it notes the calls and follows their rules."""

    def __init__(self):
        self.status = 0
        self.headers = b""
        self.body = b""
        self.length = None
        self.ending = ""
        self.writes = 0
        self.flow = None
        self.is_over = asyncio.Event()

    def respond(self, status, headers, body):
        assert not self.status
        self.status, self.headers, self.body = status, headers, body
        self._over("responded")

    def begin(self, status, headers, first=b"", length=None):
        assert not self.status
        self.status, self.headers, self.body, self.length = status, headers, first, length

    def write(self, data):
        assert self.status
        assert not self.ending
        self.writes += 1
        self.body += data

    def end(self, data=b""):
        self.body += data
        self._over("ended")

    def abort(self):
        self._over("aborted")

    def set_flow(self, pause, resume):
        self.flow = (pause, resume)

    def _over(self, ending):
        assert not self.ending
        self.ending = ending
        self.is_over.set()


async def served(method, path, body=None, **plan):
    application = SimulatorApplication(Simulator(Plan(**{"pace": 0, **plan}), now=asyncio.get_running_loop().time))
    request = Request(method, path, "", HEADERS, b"" if body is None else json.dumps(body).encode())
    letter = Letter()
    application.admit(request)
    application.handle(request, letter)
    await letter.is_over.wait()
    return letter


RESPONSE = {"model": "gpt-6-luna", "input": "Hi"}


def test_a_plain_answer_without_delay_is_sent_in_one_write(hurry):
    letter = hurry(served("POST", "/v1/responses", RESPONSE))
    assert (letter.status, letter.ending) == (200, "responded")
    assert b"content-type: application/json\r\n" in letter.headers
    assert json.loads(letter.body)["object"] == "response"


def test_a_plain_answer_with_delay_declares_its_length(hurry):
    letter = hurry(served("POST", "/v1/responses", RESPONSE, pace=1))
    assert (letter.ending, letter.length) == ("ended", len(letter.body))


def test_a_stream_is_written_as_it_comes(hurry):
    letter = hurry(served("POST", "/v1/responses", {**RESPONSE, "stream": True}, pace=1))
    assert (letter.ending, letter.length) == ("ended", None)
    assert letter.writes > 10
    assert b"response.completed" in letter.body


@pytest.mark.parametrize("fault", [Cut(), Cut(before_head=True), Outage(is_silent=True)])
def test_a_cut_aborts_the_connection(hurry, fault):
    letter = hurry(served("POST", "/v1/responses", {**RESPONSE, "stream": True}, faults=(fault,)))
    assert letter.ending == "aborted"


def test_a_slow_reader_pauses_the_answer(hurry):
    async def slowly():
        application = SimulatorApplication(Simulator(Plan(pace=1), now=asyncio.get_running_loop().time))
        letter = Letter()
        body = json.dumps({**RESPONSE, "stream": True}).encode()
        application.handle(Request("POST", "/v1/responses", "", HEADERS, body), letter)
        pause, resume = letter.flow
        pause()
        await asyncio.sleep(60)
        written = letter.writes
        resume()
        await letter.is_over.wait()
        return written, letter

    written, letter = hurry(slowly())
    assert written == 0
    assert letter.ending == "ended"


def test_a_client_that_goes_away_stops_the_answer(hurry):
    async def gone():
        application = SimulatorApplication(Simulator(Plan(pace=10), now=asyncio.get_running_loop().time))
        letter = Letter()
        body = json.dumps({**RESPONSE, "stream": True}).encode()
        running = application.handle(Request("POST", "/v1/responses", "", HEADERS, body), letter)
        await asyncio.sleep(0.5)
        running.cancel()
        written = letter.writes
        await asyncio.sleep(60)
        return letter.writes == written, letter.ending

    assert hurry(gone()) == (True, "")


def test_what_the_server_refuses_is_answered_as_an_error(hurry):
    async def refused():
        letter = Letter()
        application = SimulatorApplication(Simulator(Plan(), now=asyncio.get_running_loop().time))
        application.refuse(Refusal(413, "too_large", "Too large.", headers=(("retry-after", "1"),)), None, letter)
        return letter

    letter = hurry(refused())
    assert (letter.status, json.loads(letter.body)["error"]["code"]) == (413, "too_large")
    assert b"retry-after: 1\r\n" in letter.headers


def test_control_endpoints_are_reached_through_the_service_only(hurry, desk):
    assert hurry(served("GET", "/simulator/plan")).status == 200
    desk.json("GET", "/simulator/plan", status=404)
