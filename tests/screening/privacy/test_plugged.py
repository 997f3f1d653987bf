"""Recognisers of other packages are used where a contract names them, and only if they can be."""

from importlib.metadata import EntryPoint

import pytest

from headworks.config.privacy import Privacy
from headworks.errors import ConfigError
from headworks.screening.privacy import Finding, Kind, PrivacyPolicy, Redactor, TokenBook
from headworks.screening.privacy.plugged import GROUP, load_recognisers


class Names:
    kinds = (Kind("person", "PERSON", "a name"),)

    def find(self, text):
        start = text.find("Ada Lovelace")
        return [Finding(start, start + 12, "person", 0.9)] if start >= 0 else []


class Mislabelled(Names):
    kinds = (Kind("person", "PII_PERSON", "a name"),)


def broken():
    raise RuntimeError("Ada Lovelace")


def installed(**made):
    class Entry(EntryPoint):
        def load(self):
            return made[self.name]

    return lambda: [Entry(name, "x:y", GROUP) for name in made]


def test_a_recogniser_that_a_contract_names_finds_what_has_no_form(monkeypatch):
    monkeypatch.setattr("headworks.screening.privacy.policy.load_recognisers", lambda names, file, **_: (Names(),))
    policy = PrivacyPolicy.compile(Privacy(recognisers=("names",), kinds={"person": "mask"}))

    assert Redactor(policy).redact_text("Ask Ada Lovelace.", TokenBook(b"t"))[0] == "Ask *** ********."


def test_it_is_made_once_for_all_calls():
    (made,) = load_recognisers(("names",), "f", installed(names=Names))

    assert [one.kind for one in made.find("Ada Lovelace")] == ["person"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("none", "there are: bad, names, odd"), ("bad", "cannot be made"), ("odd", "label")],
)
def test_what_cannot_be_used_is_named_before_any_call(name, why):
    with pytest.raises(ConfigError, match=why) as caught:
        load_recognisers((name,), "workload.yaml", installed(names=Names, bad=broken, odd=Mislabelled))

    assert "Ada" not in str(caught.value)
