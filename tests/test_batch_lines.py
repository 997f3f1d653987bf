"""Which models a batch's input asks for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks import batch_lines
from headworks.batch_lines import UNKNOWN, BatchLines, ModelLines, read_models, write_models


def line(model: object) -> bytes:
    return json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": model}}).encode()


def names(body: bytes, cuts: list[int] = ()) -> str:
    lines = BatchLines()
    places = sorted(cut % (len(body) + 1) for cut in cuts)
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        lines.feed(body[start:end])
    return "\n".join(one.model for one in lines.models()) or UNKNOWN


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
    monkeypatch.setattr(batch_lines, "MOST_LINE_BYTES", 100)

    assert names(line("gpt" * 30)) == UNKNOWN


def bounded(bodies, url="/v1/responses"):
    """What lines come to of which each takes its own number of bytes, and may write ten tokens."""
    lines = BatchLines(lambda model, fields, size, endpoint: (size, 10))
    for body in bodies:
        lines.feed(json.dumps({"url": url, "body": body}).encode() + b"\n")
    return lines.models()


def test_what_lines_can_take_is_summed_up_by_model():
    one, other = bounded([{"model": "a"}, {"model": "b"}, {"model": "a", "input": "x" * 100}])
    assert (one.model, one.lines, one.output_tokens, other.lines) == ("a", 2, 20, 1)
    assert one.input_tokens > one.longest > 100
    assert one.is_bounded


def test_of_lines_that_make_videos_nobody_knows_what_they_take():
    (one,) = bounded([{"model": "a"}], url="/v1/videos")
    assert not one.is_bounded


@given(
    st.lists(
        st.builds(
            ModelLines,
            st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
            *[st.integers(-1, 2**60)] * 4,
        )
    )
)
def test_what_is_kept_of_a_file_is_read_again(models):
    assert read_models(write_models(models)) == tuple(models)


def test_of_files_that_an_earlier_release_has_noted_the_names_are_known():
    assert [(one.model, one.is_bounded) for one in read_models("a\nb")] == [("a", False), ("b", False)]
    assert read_models("") == read_models(UNKNOWN) == ()


def with_tools(*tools):
    body = {"model": "m", "input": "x", "tools": [{"type": one} for one in tools]}
    return json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": body}).encode()


def test_calls_that_may_have_the_provider_run_a_tool_are_counted():
    lines = BatchLines(lambda *_: (1, 1))
    lines.feed(
        b"\n".join([line("m"), with_tools("function"), with_tools("web_search"), with_tools("code_interpreter")])
    )
    (one,) = lines.models()

    assert (one.lines, one.hosted) == (4, 2)
    assert read_models(write_models([one])) == (one,)


def test_of_what_an_earlier_release_has_kept_nobody_knows_which_tools_may_run():
    assert read_models("m\t4\t9\t9\t3") == (ModelLines("m", 4, 9, 9, 3, -1),)
