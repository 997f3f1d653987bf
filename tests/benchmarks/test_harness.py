import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bars, calls, cores, figures, gateways, processes, report, streams, targets, wire
from benchmarks.python_builds import PythonBuild
from headworks import config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")

_FIGURES = st.lists(st.floats(min_value=0.001, max_value=1e9), min_size=1, max_size=60)


@given(values=_FIGURES, percent=st.floats(min_value=0.1, max_value=100))
def test_a_percentile_is_the_smallest_value_that_reaches_its_share(values, percent):
    found = figures.percentile(values, percent)

    def share(limit):
        return sum(value <= limit for value in values) / len(values) * 100

    assert share(found) >= percent - 1e-9
    assert all(share(value) < percent for value in values if value < found)


@given(values=_FIGURES)
def test_a_ratio_is_taken_round_by_round(values):
    ratio = figures.paired_ratio([value * 2 for value in values], values)

    assert (ratio.least, ratio.median, ratio.greatest, ratio.rounds) == (2, 2, 2, len(values))


def test_cpu_time_is_read_behind_a_name_with_spaces_and_parentheses(tmp_path):
    (tmp_path / "7").mkdir()
    fields = ["S", "1", "7", "7", *["0"] * 7, "150", "50", "30", "20", "20", "0"]
    (tmp_path / "7" / "stat").write_text("7 (odd) name) R 9) " + " ".join(fields) + "\n")

    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    assert processes.cpu_seconds([7], root=tmp_path) == 200 * tick_s
    assert processes.cpu_seconds([7], with_ended_children=True, root=tmp_path) == 250 * tick_s


def test_cpu_time_agrees_with_what_the_interpreter_knows():
    before = time.process_time()
    read = processes.cpu_seconds([os.getpid()])
    after = time.process_time()

    ticks_s = 3 / os.sysconf("SC_CLK_TCK")
    assert before - ticks_s <= read <= after + ticks_s


def test_a_process_that_has_ended_counts_nothing():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert processes.cpu_seconds([child.pid]) == 0
    assert processes.resident_bytes([child.pid]) == 0


def test_a_family_has_the_children_and_the_holder_of_a_connection_is_found():
    program = (
        "import socket, subprocess, sys\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "idle = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print(listener.getsockname()[1], idle.pid, flush=True)\n"
        "accepted, _ = listener.accept()\n"
        "print('accepted', flush=True)\n"
        "input()\n"
        "idle.communicate(b'\\n')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        port, child = map(int, parent.stdout.readline().split())
        with socket.create_connection(("127.0.0.1", port)):
            assert parent.stdout.readline() == "accepted\n"
            everyone = processes.family(parent.pid)
            held_by = processes.holders(everyone, port)
            parent.communicate("\n")

    assert set(everyone) == {parent.pid, child}
    assert held_by == [parent.pid]


@given(contents=st.lists(st.binary(min_size=1, max_size=40), max_size=8), data=st.data())
def test_chunked_framing_comes_off_however_the_bytes_are_cut(contents, data):
    framed = b"".join(b"%x\r\n%b\r\n" % (len(content), content) for content in contents) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(framed)), max_size=6)))
    dechunker = streams.Dechunker()

    got = b"".join(dechunker.feed(framed[a:b]) for a, b in zip([0, *cuts], [*cuts, len(framed)], strict=True))

    assert got == b"".join(contents)
    assert dechunker.is_ended


def test_wrong_chunked_framing_is_an_error():
    with pytest.raises(ValueError, match="does not end where its size says"):
        streams.Dechunker().feed(b"3\r\nabcdef\r\n")


@pytest.mark.parametrize("chunk", [wire.chat_chunk, wire.responses_chunk])
def test_a_chunk_is_valid_json_and_carries_its_number_and_time(chunk):
    event = chunk(41, 1_234_567)

    assert event.endswith(b"\n\n")
    json.loads(event.partition(b"data: ")[2])
    assert [(int(number), int(sent)) for number, sent in wire.CHUNK_MARK.findall(event)] == [(41, 1_234_567)]


def test_the_bodies_have_the_sizes_that_the_bars_are_set_for():
    assert 800 <= len(wire.chat_body()) <= 1_000
    assert 38_000 <= len(wire.chat_body(body_bytes=40_000)) <= 42_000
    assert 1_100 <= len(wire.chat_answer()) <= 1_300


@pytest.mark.parametrize(
    ("bar", "figure", "verdict"),
    [
        (bars.Bar(1.6, 2.0, is_ratio=True), 1.6, bars.Verdict.AIM),
        (bars.Bar(1.6, 2.0, is_ratio=True), 1.9, bars.Verdict.ENOUGH),
        (bars.Bar(1.6, 2.0, is_ratio=True), 2.1, bars.Verdict.MISSED),
        (bars.Bar(35_000, 25_000, is_floor=True), 36_000, bars.Verdict.AIM),
        (bars.Bar(35_000, 25_000, is_floor=True), 20_000, bars.Verdict.MISSED),
    ],
)
def test_a_bar_judges_a_figure(bar, figure, verdict):
    assert bar.judge(figure) is verdict


def test_a_ratio_bar_is_judged_on_the_ratio_to_nginx_of_the_same_round():
    rounds = {"call_us": {"nginx": [10.0, 20.0, 30.0], "headworks": [15.0, 50.0, 45.0]}}

    (line,) = bars.lines(rounds)

    assert line.ratios["headworks"].median == 1.5
    assert line.verdict is bars.Verdict.AIM


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda answer: answer, None),
        (lambda answer: answer.replace(wire.chat_chunk(1, 5), b""), "chunk 2 came in the place of 1"),
        (lambda answer: answer.replace(b"data: [DONE]\n\n", b""), "ended without an end mark"),
        (lambda answer: answer.replace(b'"total_tokens"', b'"tokens"'), "ended without usage"),
        (lambda answer: answer[: answer.index(wire.chat_chunk(2, 5))], "ended after 2 of 3 chunks"),
    ],
)
def test_a_stream_that_lacks_anything_is_not_counted_as_complete(spoil, problem):
    chunks = b"".join(wire.chat_chunk(number, 5) for number in range(3))
    events = spoil(wire.chat_stream_start() + chunks + wire.chat_stream_end())

    async def read():
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events))
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            transport, stream = await asyncio.get_running_loop().create_connection(
                lambda: streams.StreamReader(b"POST / HTTP/1.1\r\n\r\n", 3, streams.Window()), "127.0.0.1", port
            )
            await asyncio.wait_for(stream.ended, 10)
            transport.close()
            await asyncio.sleep(0)
        return stream.problem

    assert asyncio.run(read()) == problem


def measured(path):
    """Eight streams, and what the stub counts of them. They last two seconds; a machine that stands still for so long
    has none to measure, and is tried again."""
    while True:
        with targets.stub(cores.choose().load, interval_s=0.01) as upstream, contextlib.suppress(targets.CannotMeasure):
            found = streams.measure(upstream, path=path, streams=8, window_s=0.2, interval_s=0.01)
            return found, targets.stub_counters(upstream.port)


@pytest.mark.parametrize("path", [wire.CHAT_PATH, wire.RESPONSES_PATH])
def test_every_stream_of_the_stub_is_read_whole_and_counted(path):
    found, served = measured(path)

    assert (found.complete, found.problem) == (8, "")
    assert found.chunks > 0
    assert (served["streams"], served["cut_streams"]) == (8, 0)


def test_the_gateway_is_measured_with_a_valid_configuration_that_checks_keys(tmp_path):
    text = gateways.headworks_config(4010)

    project = config.parse(text, file="headworks.yaml", base=tmp_path)

    assert project.config.access.mode == "keys"
    assert project.config.models[wire.MODEL].model == wire.UPSTREAM_MODEL


def test_calls_one_by_one_are_all_made_and_timed():
    with targets.stub(cores.choose().load) as upstream:
        taken = calls.one_by_one(upstream, 20)
        served = targets.stub_counters(upstream.port)["calls"]

    assert len(taken) == served == 20
    assert calls.latencies(taken).p50_us <= calls.latencies(taken).p99_us


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_burst_counts_the_calls_that_the_stub_saw(tmp_path):
    core = cores.choose().load
    with targets.stub(core) as upstream:
        costs = calls.burst(
            upstream,
            upstream,
            path=wire.CHAT_PATH,
            body=wire.chat_body(),
            connections=2,
            seconds=1,
            folder=tmp_path,
            core=core,
        )
        served = targets.stub_counters(upstream.port)["calls"]

    assert costs.calls == served > 0
    assert costs.failures == 0
    assert costs.resident_bytes > 0


def test_a_report_is_a_table_and_a_file_that_reads_back():
    made = report.Report(
        plan="quick",
        began="2026-11-24T00:00:00+00:00",
        seconds=1.5,
        commit="abc",
        machine=report.Machine(
            processor="a processor", kernel="6", cores=cores.Cores(gateway=1, load=0), load_before=0.1, load_after=0.2
        ),
        gateway_python=PythonBuild(
            executable="python", version="3.11.2", is_optimised=False, reason="a reason", loop_ms=2.0, is_compiled=True
        ),
        versions={"nginx": "1"},
        lines=bars.lines({"call_us": {"nginx": [10.0], "headworks": [25.0]}, "ready_s": {"headworks": [0.1]}}),
        remarks=["a remark"],
    )

    table = report.table(made).splitlines()

    assert "| 2.50 " in table[2]
    assert "MISSED" in table[2]
    assert "NOT optimised" in report.table(made)
    assert len({line.count("|") for line in table[:4]}) == 1
    assert report.missed(made) == [made.lines[0].title]
    assert msgspec.json.decode(msgspec.json.encode(made), type=report.Report) == made
