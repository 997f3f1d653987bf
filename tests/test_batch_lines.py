"""Which models a batch's input asks for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks import batch_lines
from headworks.batch_lines import UNKNOWN, BatchLines


def line(model: object) -> bytes:
    return json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": model}}).encode()


def names(body: bytes, cuts: list[int] = ()) -> str:
    lines = BatchLines()
    places = sorted(cut % (len(body) + 1) for cut in cuts)
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        lines.feed(body[start:end])
    return lines.names()


@given(st.lists(st.sampled_from(["gpt", "nano", "é"]), min_size=1), st.lists(st.integers(0, 10_000)), st.booleans())
def test_however_it_is_cut_each_model_is_named_once(models, cuts, ends):
    body = b"\n".join(map(line, models)) + b"\n" * ends

    assert names(body, cuts).split("\n") == list(dict.fromkeys(models))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        line("gpt") + b"\n{}",
        line("gpt") + b"\n[]",
        line(5),
        line(""),
        line("a\nb"),
        line("x" * 300),
        b'{"body":{"model":"\xff"}}',
        b"\n".join(line(str(n)) for n in range(100)),
    ],
)
def test_what_is_not_all_lines_of_a_batch_is_unknown(body):
    assert names(body) == UNKNOWN


def test_of_a_name_that_is_given_twice_the_last_counts_as_with_other_readers():
    assert names(b'{"body":{"model":"nano","model":"gpt"}}') == "gpt"


def test_a_line_without_end_is_not_held(monkeypatch):
    monkeypatch.setattr(batch_lines, "_MOST_LINE_BYTES", 100)

    assert names(line("gpt" * 30)) == UNKNOWN
