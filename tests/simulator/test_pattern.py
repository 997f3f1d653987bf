import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.simulator.pattern import PatternUnsupported, PatternWriter

PATTERNS = [
    r"^[A-Z]{2}\d{4}$", r"^\+?\d{7,15}$", r"^(red|green|blue)$", r"^[a-z0-9]+(?:-[a-z0-9]+)*$", r"\d{3}-\d{2}-\d{4}",
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", r"^(?P<year>20\d\d)-W[0-5]\d$", r"^#?([a-fA-F0-9]{6}|[a-fA-F0-9]{3})$",
    r"^\$[1-9]\d{0,2}(,\d{3})*(\.\d\d)?$", r"^a.c$", r"^$", r"^[\w.-]+$", r"^\S+\s\S+$", r"^x{0}y*?z+$", r"[]a]",
    r"^\D\W$",
]  # fmt: skip


@given(st.sampled_from(PATTERNS), st.integers())
def test_what_is_written_matches(pattern, seed):
    text = PatternWriter(pattern).write(random.Random(seed))
    assert re.search(pattern, text), text


@pytest.mark.parametrize(
    "pattern",
    [r"(?=a)b", r"(?i)a", r"(a)\1", r"a(b", r"a)b", r"*a", r"a^b", r"a$b", r"[", r"[^\x00-\uffff]", r"\bword"],
)
def test_what_cannot_be_written_is_refused(pattern):
    with pytest.raises(PatternUnsupported):
        PatternWriter(pattern).write(random.Random(0))
