"""A local model finds names in processes of its own: bounded in time, memory and number, and closed when it fails."""

import asyncio
import os
import signal
from types import SimpleNamespace

import pytest

from headworks.config.privacy import Names, Privacy
from headworks.errors import ConfigError
from headworks.screening.privacy import Finding, PrivacyPolicy, Redactor, TokenBook
from headworks.screening.privacy.entities import Entities, EntityFailure, EntityPool, check_model
from headworks.screening.privacy.entities.models import pieces, tidied

MODEL = '''
import os, re, time
from pathlib import Path

class Capitals:
    """Two words with capitals are a person; orders do what a model must not."""

    def __init__(self, name):
        if name == "broken":
            raise ValueError("Ada Lovelace")
        self.name = name

    def find(self, text):
        if "STOP" in text:
            time.sleep(60)
        if "CRASH" in text:
            os._exit(3)
        if "RAISE" in text:
            raise RuntimeError(text)
        if "EAT" in text:
            bytearray(8 << 30)
        if "ENVIRON" in text:
            print(os.environ)
            found = sorted(name for name in os.environ if "KEY" in name)
            assert not found
        if "OFFLINE" in text:
            assert os.environ["HF_HUB_OFFLINE"] == "1"
        for match in re.finditer(r"[A-Z][a-z]+ [A-Z][a-z]+", text):
            yield match.start(), match.end(), "person", 0.9
        for match in re.finditer(r"[A-Z][a-z]+ Ltd", text):
            yield match.start(), match.end(), "organisation", 0.9
        with Path(self.name).open("a") as file:
            file.write("read\\n")
'''


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A package with a model, as it would be installed."""
    folder = tmp_path / "site"
    (folder / "capitals-1.dist-info").mkdir(parents=True)
    (folder / "capitals-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: capitals\nVersion: 1\n")
    (folder / "capitals-1.dist-info" / "entry_points.txt").write_text(
        "[headworks.entity_models]\ncapitals = capitals:Capitals\n"
    )
    (folder / "capitals.py").write_text(MODEL)
    monkeypatch.syspath_prepend(folder)
    return lambda **more: Names(**{"adapter": "capitals", "model": str(tmp_path / "log"), "timeout_s": 60.0} | more)


def asked(settings, *questions, then=None):
    """What a pool says to each question, one after the other: spans, or why there are none."""

    async def run():
        pool, said = EntityPool(settings), []
        try:
            for texts in questions:
                try:
                    found = await pool.find(texts)
                    said.append([[(one.kind, text[one.start : one.end]) for one in found.of(text)] for text in texts])
                except EntityFailure as failure:
                    said.append(str(failure))
            if then is not None:
                said.append(await then(pool))
        finally:
            await pool.close()
        return said

    return asyncio.run(run())


def test_what_a_model_finds_is_told_by_text_and_kind(settings):
    questions = ["ask Ada Lovelace of Engines Ltd", "nobody", "ENVIRON OFFLINE: Grace Hopper"]

    assert asked(settings(), questions) == [
        [[("person", "Ada Lovelace"), ("person", "Engines Ltd"), ("organisation", "Engines Ltd")], [],
         [("person", "Grace Hopper")]]
    ]  # fmt: skip
    assert asked(settings(kinds=("organisation",)), questions[:1]) == [[[("organisation", "Engines Ltd")]]]


def test_a_text_that_was_read_is_not_read_again(settings, tmp_path):
    asked(settings(), ["Ada Lovelace"], ["Ada Lovelace", "Grace Hopper"], ["Grace Hopper"])

    assert (tmp_path / "log").read_text().count("read") == 3  # one of them when it was loaded


@pytest.mark.parametrize(("order", "why"), [("CRASH", "ended"), ("RAISE", "ended"), ("EAT", "ended")])
def test_a_process_that_ends_fails_its_question_and_the_next_has_another(settings, order, why):
    failed, found = asked(settings(memory_mb=512), [f"{order} Ada"], ["Ada Lovelace"])

    assert why in failed
    assert "Ada" not in failed
    assert found == [[("person", "Ada Lovelace")]]


def test_a_model_that_is_stuck_is_killed(settings):
    pids = []

    async def run():
        pool = EntityPool(settings(timeout_s=60.0))
        await pool.find(["Ada Lovelace"])
        pids.append(pool._idle[0]._process.pid)
        pool.settings = settings(timeout_s=0.2)
        with pytest.raises(EntityFailure, match=r"no answer within 0\.2 s"):
            await pool.find(["STOP"])
        pool.settings = settings()
        found = await pool.find(["Grace Hopper"])
        pids.append(pool._idle[0]._process.pid)
        await pool.close()
        return found.of("Grace Hopper")

    assert [one.kind for one in asyncio.run(run())] == ["person"]
    first, second = pids
    assert first != second
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_cancelled_question_takes_its_process_along_and_gives_its_turn_back(settings):
    async def run():
        pool = EntityPool(settings())
        await pool.find(["Ada Lovelace"])
        task = asyncio.create_task(pool.find(["STOP"]))
        while pool._idle:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found = await pool.find(["Grace Hopper"])
        await pool.close()
        return len(found.of("Grace Hopper"))

    assert asyncio.run(run()) == 1


def test_no_more_questions_wait_than_can_be_read_in_time(settings, monkeypatch):
    monkeypatch.setattr("headworks.screening.privacy.entities.pool._MOST_WAITING", 2)

    async def then(pool):
        await pool._turns.acquire()
        waiting = [asyncio.create_task(pool.find([f"Ada Lovelace {number}"])) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(EntityFailure, match="2 questions wait"):
            await pool.find(["Grace Hopper"])
        pool._turns.release()
        return [bool(found) for found in await asyncio.gather(*waiting)]

    assert asked(settings(), ["Ada Lovelace"], then=then)[1] == [True, True]


def test_a_model_that_cannot_be_loaded_says_so_and_is_not_tried_at_every_call(settings):
    async def run():
        now = [0.0]
        pool = EntityPool(settings(model="broken"), now=lambda: now[0])
        said = []
        for now[0] in (0.0, 5.0, 20.0):
            try:
                await pool.find(["Ada Lovelace"])
            except EntityFailure as failure:
                said.append((str(failure), pool._failed_s))
        return said

    assert asyncio.run(run()) == [("the model cannot be loaded (ValueError)", at) for at in (0.0, 0.0, 20.0)]


def test_a_process_that_was_killed_from_outside_is_replaced(settings):
    async def then(pool):
        os.killpg(pool._idle[0]._process.pid, signal.SIGKILL)
        await pool._idle[0]._process.wait()
        return len((await pool.find(["Grace Hopper"])).of("Grace Hopper"))

    assert asked(settings(), ["Ada Lovelace"], then=then)[1] == 1


@pytest.mark.parametrize(
    ("adapter", "model", "why"),
    [
        ("none", "x", "no adapter 'none'"),
        ("gliner", "x", "not installed"),
        ("spacy", "no_such_model_at_all", "package nor a folder|not installed"),
    ],
)
def test_a_model_that_is_not_installed_is_named_before_any_call(adapter, model, why):
    with pytest.raises(ConfigError, match=why):
        check_model(adapter, model, "workload.yaml")


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("the Ada Lovelace's, we", (0, 19), "Ada Lovelace"),
        ('"Ada Lovelace".', (0, 15), "Ada Lovelace"),
        ("The Engines Ltd", (0, 15), "Engines Ltd"),
        ("Ada\nLovelace", (0, 12), None),
        ("self.value", (0, 10), None),
        ("foo(Bar)", (0, 8), None),
        ("lower case", (0, 10), None),
        ("Order 12345", (0, 11), None),
        ("A", (0, 1), None),
        ("李小龍", (0, 3), "李小龍"),
        ("Ada", (1, 9), None),
    ],
)
def test_what_stands_around_a_name_is_left_and_what_is_none_is_left_out(text, span, expected):
    tidy = tidied(text, (*span, "person", 0.9))

    assert (None if tidy is None else text[tidy[0] : tidy[1]]) == expected


def test_a_long_text_is_read_in_pieces_that_make_it_up():
    for text in ("word " * 9_000, "x" * 30_000, "Ada. " * 3 + "\n" * 9_000, ""):
        cut = list(pieces(text))

        assert "".join(piece for _, piece in cut) == text
        assert all(text[at : at + len(piece)] == piece and len(piece) <= 8_000 for at, piece in cut)


def test_names_become_tokens_beside_what_patterns_find_and_come_back():
    policy = PrivacyPolicy.compile(Privacy(kinds={"location": "mask"}))
    book, redactor = TokenBook(b"t" * 32), Redactor(policy)
    body = b'{"input":"Ada Lovelace (ada@example.org) of London; SSN 219-09-9998","metadata":{"who":"Ada Lovelace"}}'
    said, who = redactor.texts(body)

    def found(text, name, kind):
        return Finding(text.index(name), text.index(name) + len(name), kind, 0.7)

    entities = Entities(
        {
            said: [
                found(said, "Ada Lovelace", "person"),
                found(said, "London", "location"),
                found(said, "998", "person"),
            ],
            who: [found(who, "Ada Lovelace", "person")],
        }
    )

    redacted = redactor.redact(body, book, entities)

    assert b"Ada" not in redacted.body
    assert b" of ******; SSN PII_SSN_" in redacted.body
    assert redacted.counts == {
        "person": 2,
        "email": 1,
        "location": 1,
        "us_ssn": 1,
    }  # the number's kind is the surer one


def test_names_are_found_again_where_no_model_has_read():
    known = Entities({"Ask Ada Lovelace": [Finding(4, 16, "person", 0.7)], "Bo": [Finding(0, 2, "person", 0.7)]})

    assert [(one.start, one.end) for one in known.of("Ada Lovelace, and MAda Lovelace; Bo")] == [(0, 12)]


def test_policies_that_say_the_same_share_their_processes(monkeypatch):
    monkeypatch.setattr("headworks.screening.privacy.policy.check_model", lambda *_: None)
    one, two, other = (
        PrivacyPolicy.compile(Privacy(names=Names(processes=count)), file="workload.yaml") for count in (1, 1, 2)
    )

    assert one.entities is two.entities
    assert one.entities is not other.entities
    assert PrivacyPolicy.compile(Privacy()).entities is None


def test_spacys_words_for_kinds_are_ours():
    from headworks.screening.privacy.entities.models import SpacyModel

    def entity(start, end, label):
        return SimpleNamespace(start_char=start, end_char=end, label_=label)

    model = SpacyModel.__new__(SpacyModel)
    model._read = lambda text: SimpleNamespace(ents=[entity(0, 3, "PERSON"), entity(9, 14, "DATE")])

    assert list(model.find("Ada came today")) == [(0, 3, "person", 0.7)]


def test_presidios_and_gliners_words_for_kinds_are_ours():
    from headworks.screening.privacy.entities.models import GlinerModel, PresidioModel

    presidio, gliner = PresidioModel.__new__(PresidioModel), GlinerModel.__new__(GlinerModel)
    result = SimpleNamespace(start=0, end=3, entity_type="ORGANIZATION", score=0.85)
    presidio._engine = SimpleNamespace(analyze=lambda **asked: [result] if asked["text"] == "IBM" else [])
    entity = {"start": 0, "end": 3, "label": "organization", "score": 0.5}
    gliner._model = SimpleNamespace(predict_entities=lambda text, labels: [entity, entity | {"label": "animal"}])

    assert list(presidio.find("IBM")) == [(0, 3, "organisation", 0.85)]
    assert list(gliner.find("IBM")) == [(0, 3, "organisation", 0.5)]
