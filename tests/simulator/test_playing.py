import asyncio

import pytest

from headworks.simulator import Beat, Ending, Script
from headworks.simulator.playing import Patience, Playing
from headworks.simulator.script import NO_HEAD


class Diary:
    """A stage that notes what happens and when."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.notes = []
        self.is_over = asyncio.Event()

    def _note(self, *what):
        self.notes.append((round(self.loop.time(), 6), *what))

    def head(self, status, headers, length):
        self._note("head", status)

    def data(self, data):
        self._note("data", data)

    def end(self):
        self._note("end")
        self.is_over.set()

    def cut(self):
        self._note("cut")
        self.is_over.set()

    def late(self, limit):
        self._note("late", limit)
        self.is_over.set()


def script(*beats, **fields):
    return Script(fields.pop("status", 200), {}, iter(beats), **fields)


async def played(the_script, patience=Patience()):  # noqa: B008
    diary = Diary()
    Playing(the_script, diary, asyncio.get_running_loop(), patience).start(at_once=False)
    await diary.is_over.wait()
    return diary.notes


def test_beats_go_out_at_their_times(hurry):
    notes = hurry(played(script(Beat(b"a", 2.0), Beat(b"b", 3.0), head_delay_s=1.0)))
    assert notes == [(1.0, "head", 200), (3.0, "data", b"a"), (6.0, "data", b"b"), (6.0, "end")]


def test_what_is_due_together_goes_out_in_one_piece_and_one_turn(hurry):
    notes = hurry(played(script(Beat(b"a"), Beat(b"b"), Beat(b"c", 1.0), Beat(b"d"))))
    assert notes == [(0.0, "head", 200), (0.0, "data", b"ab"), (1.0, "data", b"cd"), (1.0, "end")]


def test_an_immediate_script_is_played_before_start_returns_if_it_may(hurry):
    async def at_once():
        diary = Diary()
        Playing(script(Beat(b"a")), diary, asyncio.get_running_loop()).start(at_once=True)
        return [note[1] for note in diary.notes]

    assert hurry(at_once()) == ["head", "data", "end"]


def test_a_cut_comes_after_the_last_beat(hurry):
    notes = hurry(played(script(Beat(b"a"), ending=Ending.CUT)))
    assert notes[1:] == [(0.0, "data", b"a"), (0.0, "cut")]


def test_without_a_head_only_the_ending_is_played(hurry):
    assert hurry(played(script(status=NO_HEAD, ending=Ending.CUT))) == [(0.0, "cut")]


@pytest.mark.parametrize(
    ("the_script", "patience", "last"),
    [
        (script(Beat(b"a"), head_delay_s=9), Patience(first_byte_s=4), (4.0, "late", "first byte")),
        (script(Beat(b"a"), Beat(b"b", 9)), Patience(between_bytes_s=5), (5.0, "late", "between bytes")),
        (script(*[Beat(b"a", 2.0)] * 9), Patience(between_bytes_s=5, total_s=7), (7.0, "late", "total")),
        (script(Beat(b"a"), ending=Ending.STALL), Patience(between_bytes_s=5), (5.0, "late", "between bytes")),
        (script(status=NO_HEAD, ending=Ending.STALL), Patience(first_byte_s=3), (3.0, "late", "first byte")),
    ],
)
def test_who_waits_too_long_gives_up_at_the_limit(hurry, the_script, patience, last):
    assert hurry(played(the_script, patience))[-1] == last


def test_a_stall_without_limits_lasts_until_it_is_cancelled(hurry):
    async def stalled():
        diary = Diary()
        playing = Playing(script(Beat(b"a"), ending=Ending.STALL), diary, asyncio.get_running_loop())
        playing.start(at_once=True)
        await asyncio.sleep(100_000)
        playing.cancel()
        return diary.notes

    assert hurry(stalled()) == [(0.0, "head", 200), (0.0, "data", b"a")]


def test_while_it_is_paused_nothing_goes_out_and_afterwards_lost_time_is_caught_up(hurry):
    async def paused():
        diary = Diary()
        playing = Playing(script(*[Beat(b"%d" % n, 1.0) for n in range(6)]), diary, asyncio.get_running_loop())
        playing.start(at_once=True)
        await asyncio.sleep(1.5)
        playing.pause()
        await asyncio.sleep(3)
        playing.resume()
        await diary.is_over.wait()
        return diary.notes

    assert hurry(paused()) == [
        (0.0, "head", 200),
        (1.0, "data", b"0"),
        (4.5, "data", b"123"),
        (5.0, "data", b"4"),
        (6.0, "data", b"5"),
        (6.0, "end"),
    ]


def test_while_it_is_paused_only_the_total_time_runs(hurry):
    async def paused(patience):
        diary = Diary()
        playing = Playing(script(Beat(b"a"), Beat(b"b", 1)), diary, asyncio.get_running_loop(), patience)
        playing.start(at_once=True)
        playing.pause()
        await asyncio.sleep(20)
        playing.resume()
        await diary.is_over.wait()
        return diary.notes[-1]

    assert hurry(paused(Patience(between_bytes_s=5))) == (20.0, "end")
    assert hurry(paused(Patience(total_s=8))) == (8.0, "late", "total")


def test_a_stage_that_pauses_while_it_is_played_on_gets_nothing_more(hurry):
    async def pausing():
        diary = Diary()
        playing = Playing(script(Beat(b"a"), Beat(b"b", 1.0)), diary, asyncio.get_running_loop())
        head = diary.head
        diary.head = lambda *what: (head(*what), playing.pause())
        playing.start(at_once=True)
        await asyncio.sleep(10)
        notes = list(diary.notes)
        playing.resume()
        await diary.is_over.wait()
        return notes, diary.notes[1:]

    before, after = hurry(pausing())
    assert before == [(0.0, "head", 200)]
    assert after == [(10.0, "data", b"ab"), (10.0, "end")]


def test_nothing_is_heard_after_a_cancel(hurry):
    async def cancelled():
        diary = Diary()
        playing = Playing(script(Beat(b"a", 1.0)), diary, asyncio.get_running_loop())
        playing.start(at_once=False)
        playing.cancel()
        playing.cancel()
        playing.resume()
        await asyncio.sleep(5)
        return diary.notes

    assert hurry(cancelled()) == []
