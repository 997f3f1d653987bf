import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.response_cache import may_stand, wording_of

KEY = b"k" * 32


def stands(one, other):
    return may_stand(wording_of(one, KEY), wording_of(other, KEY))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("When do you open?", "when do you open"),
        ("When do you open?", "\u201cWhen\u201d do you open\u2026 \u2013 please"),
        ("Do not cancel it", "please don't cancel it"),
        ("How can I reset my password?", "How do I reset the password?"),
        ("Is Berlin open? Tell me.", "so is Berlin open?"),
        ("I can't log in", "I can\u2019t log in"),
        ("Order 4411 is late", "My order 4411 is very late"),
        ("Which payment methods do you accept?", "what payment method is accepted"),
        ("Can I return it after 30 days?", "Is it possible to return it after 30 days?"),
        ("The app crashes when I open it", "When I open it, the app crashes"),
        ("How much does express shipping cost?", "What is the price of express shipping?"),
        ("How do I sign in with Google?", "I want to log in with Google"),
        ("Wie kann ich mein Abo k\u00fcndigen?", "Ich m\u00f6chte mein Abo k\u00fcndigen"),
    ],
)
def test_other_words_for_the_same_may_stand(one, other):
    assert stands(one, other)
    assert stands(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cancel my order", "Do not cancel my order"),
        ("Can I cancel my order?", "Can I cancel my order after it has shipped?"),
        ("When is the shop open?", "Is the shop open?"),
        ("What is my address?", "What is your address?"),
        ("Does the buyer pay the seller?", "Does the seller pay the buyer?"),
        ("Do I sign before I pay?", "Do I pay before I sign?"),
        ("If it rains, call Ann; else wait", "Wait if Ann calls"),
        ("I can log in", "I can't log in"),
        ("Ich will kündigen", "Ich will nicht kündigen"),
        ("Order 4411 is late", "Order 4412 is late"),
        ("Version 2 or version 3?", "Version 2?"),
        ("Is the shop in Berlin open", "Is the shop in Munich open"),
        ("convert euros to dollars", "convert dollars to euros"),
        ("Send the report for the northern region", "Send the report for the southern region"),
        ("How do I enable the second factor?", "How do I disable the second factor?"),
        ("Is the single room free?", "Is the double room free?"),
        ("A payment from Alice to me", "A payment to Alice from Bob"),
        ("Move 100 from account 5 to account 7", "Move 100 from account 7 to account 5"),
        ("Does Ann owe Bob anything?", "Does Bob owe Ann anything?"),
        ("what is the balance of tom", "what is the balance of tim"),
        ("Tom paid how much?", "Tim paid how much?"),
        ("What is his balance?", "What is her balance?"),
        ("Is a payment from Alice late?", "Is a payment to Alice late?"),
        ("how do i turn alarms on", "how do i turn alarms off"),
        ("how do you ship", "why do you ship"),
        ("I want tea and not milk", "I want milk and not tea"),
        ("I take tea, not the milk", "I take not tea, the milk"),
        ("Is it 5 degrees", "Is it -5 degrees"),
        ("It costs $20", "It costs \u20ac20"),
        ("How do I learn C++", "How do I learn C#"),
        ("\u9000\u6b3e \u8ba2\u5355", "\u53d1\u8d27 \u8ba2\u5355"),
        ("\uc790\ub3d9\ucc28 \ubcf4\ud5d8 \ud574\uc9c0", "\uc790\ub3d9\ucc28 \ubcf4\ud5d8 \uac00\uc785"),
    ],
)
def test_what_only_looks_alike_may_not(one, other):
    assert not stands(one, other)
    assert not stands(other, one)


@given(text=st.text(max_size=200), other=st.text(max_size=200))
def test_a_text_may_stand_for_itself_and_the_question_has_no_direction(text, other):
    assert stands(text, text)
    assert stands(text, other) == stands(other, text)


def test_nothing_of_the_text_can_be_read_or_guessed_without_the_key():
    one, other = wording_of("Order 4411 for Smith", KEY), wording_of("Order 4411 for Smith", b"o" * 32)

    assert one.words != other.words
    assert one.marks != other.marks
    assert b"4411" not in one.words + one.marks
