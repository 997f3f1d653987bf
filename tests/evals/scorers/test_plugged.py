"""Scorers of an installed package: what they say counts, what they raise leaves the case without a score."""

import asyncio

import pytest

from headworks.cli.eval_scoring import _installed
from headworks.errors import CommandError
from headworks.evals.golden import GoldenCase
from headworks.evals.scorers import Answer, Means, ScoringFailed, build_scorer, parse_settings
from headworks.extending import SCORERS, ExtensionError
from offering import forget, offer

SOURCE = """
import asyncio

import threading

HELD = threading.Event()
CLOSED = []


class Short:
    def __init__(self, settings):
        self.most = int(settings["most"])

    def score(self, case, answer):
        if answer.text == "raise":
            raise RuntimeError(answer.text)
        if answer.text == "hang":
            HELD.wait(20)
        if answer.text == "nonsense":
            return object()
        if answer.text == "half":
            return {"value": 0.5, "is_acceptable": True, "reason": "half of it"}
        return len(answer.text) <= self.most

    def close(self):
        CLOSED.append(True)


class Similar:
    def __init__(self, settings):
        pass

    async def score(self, case, answer):
        await asyncio.sleep(0)
        return 1.0 if answer.text == case.expected else 0.25
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    offer(tmp_path, {SCORERS: {"short": "Short", "similar": "Similar"}}, SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    import acme_offers

    yield acme_offers
    acme_offers.HELD.set()
    forget()


def scorer(tmp_path, extension):
    settings = parse_settings(f"scorers: [{{extension: {extension}}}]", file="evals.yaml", folder=tmp_path)
    return build_scorer(settings, tmp_path, Means(find=_installed), expects=True)


def scored(made, *texts):
    async def run():
        try:
            return [await made.score(GoldenCase(id="1", expected="Oslo"), Answer(text)) for text in texts]
        finally:
            await made.close()

    return asyncio.run(run())


def test_what_a_plain_function_says_is_the_score(acme, tmp_path):
    right, wrong, half = scored(scorer(tmp_path, "{use: short, settings: {most: '4'}}"), "Oslo", "Stockholm", "half")

    assert (right.is_acceptable, wrong.is_acceptable) == (True, False)
    assert (half.value, half.is_acceptable) == (0.5, True)
    assert acme.CLOSED


def test_what_an_async_function_says_is_the_score(acme, tmp_path):
    right, wrong = scored(scorer(tmp_path, "{use: similar}"), "Oslo", "Bergen")

    assert (right.value, wrong.value) == (1.0, 0.25)


@pytest.mark.parametrize(
    ("text", "timeout_s", "says"),
    [
        ("raise", 30, "short: RuntimeError"),
        ("hang", 0.05, "no score within 0.05 s"),
        ("nonsense", 30, "short: TypeError"),
    ],
)
def test_what_gives_no_score_is_no_wrong_answer(acme, tmp_path, text, timeout_s, says):
    with pytest.raises(ScoringFailed, match=says):
        scored(scorer(tmp_path, f"{{use: short, timeout_s: {timeout_s}, settings: {{most: '4'}}}}"), text)


def test_another_version_or_other_settings_make_another_scorer(acme, tmp_path):
    one, other = (scorer(tmp_path, f"{{use: short, settings: {{most: '{most}'}}}}") for most in (4, 5))

    assert one.identity != other.identity
    assert "1.0" in repr(one.identity)


def test_what_cannot_be_had_is_told(acme, tmp_path):
    with pytest.raises(ExtensionError, match="no installed package offers `gone`"):
        scorer(tmp_path, "{use: gone}")
    with pytest.raises(CommandError, match="`short` of acme cannot be made of its settings: KeyError"):
        scorer(tmp_path, "{use: short}")
