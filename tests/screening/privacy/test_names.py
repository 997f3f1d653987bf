"""Names are found by the words around them, whole, in the languages that those words are of; and not in code."""

import random

import pytest
from faker import Faker

from headworks.config.privacy import Privacy
from headworks.screening.privacy import AnswerScreen, Finder, PrivacyPolicy, TokenBook

finders = {"re2": Finder(), "python": Finder(prefers_re2=False)}
BOTH = pytest.mark.parametrize("finder", finders.values(), ids=finders)


def names_in(finder, text):
    return [text[one.start : one.end] for one in finder.find(text) if one.kind == "person"]


@BOTH
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Hello, my name is Ada Lovelace and I ask you", ["Ada Lovelace"]),
        ("Ich heiße Jürgen von der Müller.", ["Jürgen von der Müller"]),
        ("Je m'appelle Émile Zola, bonjour", ["Émile Zola"]),
        ("me llamo Maria de la Cruz y", ["Maria de la Cruz"]),
        ("Kind regards,\nAda Lovelace", ["Ada Lovelace"]),
        ("Many thanks,\n\n  Grace M. Hopper\n-- \n", ["Grace M. Hopper"]),
        ("Mit freundlichen Grüßen\r\nAda", ["Ada"]),
        ("Dear Ada,\nthank you", ["Ada"]),
        ("Dear Mr. Smith, we", ["Smith"]),
        ("seen by Dr Grace Hopper today", ["Grace Hopper"]),
        ('{"first_name": "Ada", "lastName": "Lovelace"}', ["Ada", "Lovelace"]),
        ("Patient name: O'Brien-Smith", ["O'Brien-Smith"]),
        ("my name is \u0410\u043d\u043d\u0430 here", ["\u0410\u043d\u043d\u0430"]),
    ],
)
def test_a_name_is_found_by_the_words_around_it(finder, text, names):
    assert names_in(finder, text) == names


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        "Hello World! Hi there, Dear Sir or Madam, Dear Customer,",
        "first_name: String = models.CharField(); last_name = None",
        "full_name = Person.name; surname=get_name(x); first_name: Optional[str]",
        "the class name is Foo and the file name: Bar.txt",
        "Regards to Ada from all of us",
        "Thanks, see you at Kings Cross station tomorrow",
        '{"name": "get_weather", "customer_name": null, "last_name": "Type"}',
        "Dr. no",
        ">>> s == 'Hello World'",
    ],
)
def test_what_is_no_name_is_not_taken_for_one(finder, text):
    assert names_in(finder, text) == []


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR"])
def test_names_that_others_made_are_found_whole_where_the_words_are(locale):
    fake = Faker(locale)
    fake.seed_instance(5)
    leads = ["My name is {}.", "Kind regards,\n{}\n", "Mr. {} called", '{{"customer_name": "{}"}}']
    rng = random.Random(5)
    found = total = 0
    for _ in range(100):
        name = f"{fake.first_name()} {fake.last_name()}"
        text = rng.choice(leads).format(name)
        total += 1
        found += name in names_in(finders["re2"], text)

    assert found / total >= 0.95


def test_names_in_an_answer_are_masked_alike_however_it_is_cut():
    policy = PrivacyPolicy.compile(Privacy(answer="mask"))
    text = (
        "Ich heiße Jürgen von der Müller und wohne dort. Dear Mr. Smith, we write.\nMany thanks,\n\nGrace M. Hopper\n"
    )
    whole = AnswerScreen(policy, TokenBook(b"t" * 32)).text(text)
    assert "Hopper" not in whole

    for cut in range(len(text)):
        stream = AnswerScreen(policy, TokenBook(b"t" * 32)).stream()
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end() == whole, cut
