"""How often detectors find what is there, and what is not (H11, H12).

In every run: what is said in good faith with the words of attacks, a part of Python's library, our documentation, logs.
By command, with the corpora that `tools/injection/measure.py` names in the folder that `HEADWORKS_CORPORA` says: every
family of attacks against what was found of it before, and all benign text.
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import measure
import pytest

from headworks.screening.injection import CanaryWatch, Detector, canary_of, unusual_characters

ROOT = Path(__file__).parents[3]
CORPORA = os.environ.get("HEADWORKS_CORPORA", "")
REGRESSION = 0.02
MOST_BENIGN = 0.005
MOST_HARD = 0.03
HARD = ("Hard, from prompt-armor", "What AgentDojo's users ask", "Hard, NotInject", "Hard, XSTest")
SALAD = "Words of attacks, at random"
"""No text that anybody would write: it shows what a wording is, and is no false alarm."""

needs_corpora = pytest.mark.skipif(not CORPORA, reason="HEADWORKS_CORPORA names no folder with the corpora")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def shipped() -> Iterator[str]:
    """Pieces of code and prose that are at hand wherever the tests are."""
    files = sorted(Path(random.__file__).parent.glob("*.py"))[::8] + sorted((ROOT / "docs").rglob("*.md"))[::4]
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from (text[at : at + 2000] for at in range(0, len(text), 2000))


def test_there_are_three_hundred_hard_cases_and_each_is_another():
    assert len(set(measure.hard_benign())) == len(measure.hard_benign()) >= 300


def test_of_what_is_said_in_good_faith_with_the_words_of_attacks_little_is_found(detector):
    found = [text for text in measure.hard_benign() if detector.find(text)]

    assert len(found) <= MOST_HARD * len(measure.hard_benign()), found


def test_of_code_and_prose_next_to_nothing_is_found(detector):
    pieces = list(shipped())
    found = [text[:100] for text in pieces if detector.find(text)]

    assert len(pieces) > 200
    assert len(found) <= max(1, MOST_BENIGN * len(pieces)), found


def test_layers_that_may_block_find_nothing_in_benign_text():
    watch = CanaryWatch(canary_of(bytes(range(16))))
    for text in [*measure.hard_benign(), *shipped()]:
        assert not unusual_characters(text), text[:100]
        assert not watch.leaks(text), text[:100]


@needs_corpora
@pytest.mark.long
def test_no_family_of_attacks_is_found_less_often_than_before(detector):
    before = json.loads(measure.RECALL.read_text("utf-8"))
    families = dict(measure.sampled_attacks(Path(CORPORA)))
    lost = {}
    for name, (hits, cases) in before.items():
        now = sum(bool(detector.find(text)) for text in families[name]) / len(families[name])
        low, high = measure.interval(round(now * len(families[name])), len(families[name]))
        print(f"{name}: {now:.1%} ({low:.1%} to {high:.1%}), before {hits / cases:.1%}")
        if now < hits / cases - REGRESSION:
            lost[name] = now

    assert len(families) >= 8
    assert families.keys() == before.keys()
    assert lost == {}


@needs_corpora
@pytest.mark.long
def test_of_three_thousand_benign_texts_few_are_found_and_what_blocks_finds_none(detector):
    benign = {name: texts for name, texts in measure.benign_texts(Path(CORPORA)).items() if name != SALAD}
    hard = [*measure.hard_benign(), *(text for name in HARD for text in benign.pop(name))]
    watch = CanaryWatch(canary_of(bytes(range(16))))

    alarms = {name: sum(bool(detector.find(text)) for text in texts) / len(texts) for name, texts in benign.items()}
    print(alarms, sum(bool(detector.find(text)) for text in hard) / len(hard))

    assert sum(map(len, benign.values())) + len(hard) >= 3_000
    assert len(hard) >= 300
    assert {name: rate for name, rate in alarms.items() if rate > MOST_BENIGN} == {}
    assert sum(bool(detector.find(text)) for text in hard) <= MOST_HARD * len(hard)
    for text in [*hard, *(text for texts in benign.values() for text in texts)]:
        assert not unusual_characters(text)
        assert not watch.leaks(text)


def test_the_canary_has_no_false_alarm_in_random_answers():
    """A million by command; what is asked of each is that nothing of it is taken for the word in any of its forms."""
    assert false_alarms(2_000) == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_canary_has_no_false_alarm_in_a_million_answers():
    assert false_alarms(1_000_000) == 0


def false_alarms(count: int) -> int:
    chance = random.Random(14)
    words = [text for said in measure.hard_benign() for text in said.split()]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF+/=%&#;x-"
    found = 0
    for number in range(count):
        if number % 1_000 == 0:
            watch = CanaryWatch(canary_of(chance.randbytes(16)))
        noise = "".join(chance.choices(letters, k=24))
        found += watch.leaks(f"{' '.join(chance.choices(words, k=12))} {noise}")
    return found
