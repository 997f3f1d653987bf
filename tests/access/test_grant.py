import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access.grant import Grant, ModelPattern
from headworks.calls import Caller, Endpoint

WORDS = st.text(alphabet="ab/*", max_size=12)


@given(WORDS, st.text(alphabet="ab/", max_size=12))
def test_a_pattern_matches_as_the_regular_expression_of_it_does(pattern, name):
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None

    assert ModelPattern(pattern).matches(name) is expected


@pytest.mark.parametrize("name", ["fast", "FAST", "fas", "faster", "[f]ast", "f?st", ""])
def test_without_a_star_only_the_very_name_matches(name):
    assert ModelPattern("fast").matches(name) is (name == "fast")


def test_a_hostile_pattern_takes_no_time():
    pattern, name = ModelPattern("*a" * 100 + "*b"), "a" * 20_000

    assert not pattern.matches(name)


def test_a_key_without_scopes_may_do_everything_but_decide_approvals():
    grant = Grant(Caller("key_a"))

    assert grant.may_use("anything")
    assert [endpoint for endpoint in Endpoint if not grant.may_call(endpoint)] == [Endpoint.APPROVALS]
    assert Grant(Caller("key_b"), endpoints=(Endpoint.APPROVALS,)).may_call(Endpoint.APPROVALS)


def test_scopes_are_kept_to_and_models_can_be_listed_with_any():
    grant = Grant(Caller("key_a"), models=("fast", "sim/*"), endpoints=(Endpoint.CHAT,))

    assert [name for name in ("fast", "slow", "sim/x", "sim", "other/sim/x") if grant.may_use(name)] == [
        "fast",
        "sim/x",
    ]
    assert {endpoint for endpoint in Endpoint if grant.may_call(endpoint)} == {Endpoint.CHAT, Endpoint.MODELS}


def test_verdicts_are_remembered_within_a_bound():
    grant = Grant(Caller("key_a"), models=("m-1*",))

    verdicts = [grant.may_use(f"m-{n}") for n in range(5_000)] + [grant.may_use(f"m-{n}") for n in range(5_000)]

    assert verdicts[:5_000] == verdicts[5_000:] == [str(n).startswith("1") for n in range(5_000)]
    assert len(grant._verdicts) <= 1024
