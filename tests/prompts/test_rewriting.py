import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import CommandError
from headworks.prompts import parse, with_version

HEAD = """---
# what it is for
variables: {x: string} # one
version: 1.2.3 # raised by machine
---
Sort {{ x }}. 1.2.3
"""


def rewritten(text, version="2.0.0"):
    return with_version(text, parse(text, name="w", file="prompt.md"), version)


def test_only_the_version_changes():
    assert rewritten(HEAD) == HEAD.replace("version: 1.2.3", "version: 2.0.0")


@pytest.mark.parametrize("written", ["'1.2.3'", '"1.2.3"', "1.2.3"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_quotes_line_ends_and_a_byte_order_mark_stay(written, end, start):
    text = start + HEAD.replace("1.2.3 #", f"{written} #").replace("\n", end)

    assert rewritten(text) == text.replace(f"version: {written}", f"version: {written.replace('1.2.3', '2.0.0')}")


def test_a_version_that_is_not_written_plainly_is_left_to_a_person():
    text = HEAD.replace("version: 1.2.3", 'version: "1.2\\x2e3"')

    with pytest.raises(CommandError, match=r"prompt\.md:4:10: the version is not written plainly here"):
        rewritten(text)


@given(st.from_regex(r"(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})", fullmatch=True))
def test_any_version_can_be_written_and_read_back(version):
    there = rewritten(HEAD, version)

    assert parse(there, name="w", file="prompt.md").version == version
    assert rewritten(there, "1.2.3") == HEAD
