"""The convention of the pages is kept by force: what would let an untrue page pass is refused."""

import pytest
from doc_reader import Reader
from doc_samples import PageError, Sample, differs, read_page, steps
from hypothesis import given
from hypothesis import strategies as st


def page(*lines):
    return read_page("\n".join(lines) + "\n")


def test_a_fence_needs_a_language():
    with pytest.raises(PageError, match="line 2: the fence does not name its language"):
        page("# Title", "```", "headworks check", "```")


def test_a_fence_needs_an_end():
    with pytest.raises(PageError, match="line 1: the fence has no end"):
        page("```sh", "true")


def test_nothing_is_left_out_without_a_reason():
    with pytest.raises(PageError, match="it is not said why this is not run"):
        page("<!-- not run: -->", "```sh", "rm -rf /", "```")
    with pytest.raises(PageError, match="`ini` is not run here; say why"):
        page("```ini", "[Service]", "```")
    with pytest.raises(PageError, match="no Python sample stands before this output"):
        page("```sh", "true", "```", "", "```text", "some output", "```")


def test_a_reason_is_kept_with_the_sample():
    (sample,) = page("<!-- not run: it needs systemd -->", "", "```ini", "[Service]", "```").samples

    assert sample.not_run == "it needs systemd"


def test_a_comment_belongs_to_the_next_fence_only():
    _, second = page("<!-- plan -->", "```yaml", "pace: 0", "```", "words", "```yaml", "version: 1", "```").samples

    assert second.kind == "config"


def test_a_fence_in_a_list_loses_its_indent():
    (sample,) = page("1. Do this:", "", "   ```sh", "   if true; then", "     true", "   fi", "   ```").samples

    assert sample.text == "if true; then\n  true\nfi\n"


def test_text_after_python_is_what_it_prints():
    (sample,) = page("```python", "print(1)", "```", "", "```text", "1", "```").samples

    assert sample.output == "1\n"


def test_what_a_reader_has_done_before_is_in_a_comment():
    read = page("<!-- run first:", "headworks init .", "headworks serve", "-->", "<!-- run first: true -->")

    assert read.run_first == ("headworks init .", "headworks serve", "true")


def test_a_console_sample_is_commands_with_what_they_print():
    shown = steps(Sample(1, "console", "$ one \\\n    two\n$ three 'a\nb'\nout\nput\n"))

    assert [(step.command, step.output) for step in shown] == [
        ("one \\\n    two", None),
        ("three 'a\nb'", "out\nput\n"),
    ]
    with pytest.raises(PageError, match="begins with `\\$ ` and a command"):
        steps(Sample(1, "console", "headworks check\n"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("as it is", "as it is\n"),
        ("id  call_1a20bc82d040079c116f6000001", "id call_ffffffffffffffffffffffffff1\n"),
        ("04:19:57  took 80.8ms", "23:59:59  took 1.2s\n"),
        ("begins ... ends", "begins and ends\n"),
        ("first\n...\nlast", "first\nsecond\nthird\nlast\n"),
        ("first\n...\nlast", "first\nlast\n"),
    ],
)
def test_what_varies_may_differ(shown, printed):
    assert differs(shown, printed) == ""


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("200", "503\n"),
        ("one line", "one line\nand another\n"),
        ("one line\nand another", "one line\n"),
        ("status 200, took 5ms", "status 500, took 5ms\n"),
        ("begins ... ends", "begins and goes on\n"),
        ("something", ""),
    ],
)
def test_what_is_not_so_is_told(shown, printed):
    assert differs(shown, printed)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="\u2028\u2029"), max_size=80))
def test_any_line_is_itself(line):
    assert differs(line, f"{line}\n") == ""


@pytest.mark.parametrize(
    "lines",
    [
        ("```sh", "exit 3", "```"),
        ("```console", "$ echo yes", "no", "```"),
        ("```python", "print('yes')", "```", "```text", "no", "```"),
        ("```python", "def test_it():", "    assert False", "```"),
    ],
)
def test_a_sample_that_does_not_hold_fails(tmp_path, lines):
    with pytest.raises(AssertionError):
        Reader(tmp_path).follow(page(*lines))


def test_a_yaml_sample_must_be_a_configuration(tmp_path):
    from headworks.errors import ConfigError

    with pytest.raises(ConfigError, match="`prot` is not a field; did you mean `port`"):
        Reader(tmp_path).follow(page("```yaml", "server: {prot: 80}", "```"))


def test_the_shell_of_the_reader_goes_on_from_sample_to_sample(tmp_path):
    Reader(tmp_path).follow(
        page(
            *("```sh", "mkdir there", "cd there", "export WORD=well", "```"),
            *("<!-- file: said.txt -->", "```text", "hello", "```"),
            *("```console", "$ cat ../there/said.txt; echo $WORD", "hello", "well", "```"),
            *("```python", "import os", "print(os.environ['WORD'])", "```", "```text", "well", "```"),
        )
    )
