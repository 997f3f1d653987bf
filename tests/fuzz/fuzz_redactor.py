"""Bodies with values planted anywhere, and bytes that are no bodies, against the redactor.

    python tests/fuzz/fuzz_redactor.py --seconds 60 [--seed N]

No planted value may be in what goes up; what comes back when it is echoed is what was sent, however the stream is cut;
what cannot be read does not go up. Nothing but a refusal may be raised.
"""

import argparse
import json
import random
import sys
import time

from headworks.config.privacy import Privacy
from headworks.errors import Refusal
from headworks.screening.privacy import PrivacyPolicy, Redactor, Restorer, ScreeningFailed, TokenBook

PLANTED = (
    "john.doe@example.com", "a.b+c@sub.example.co.uk", "4111 1111 1111 1111", "5555-5555-5555-4444",
    "DE89370400440532013000", "GB29NWBK60161331926819", "536-90-4399", "00:1B:44:11:3A:B7",
)  # fmt: skip
"""Each of a form with check digits, or that nothing else has, and written as people write it (an undivided number may
be an order's): between spaces they are found whatever stands around."""

AROUND = (
    "", "Hello there ", "\n", "\t", "\u00a0", "\u202e", "\U0001f600", "{", "}", "[1, 2]", '{"a": "b"}', '"', "\\",
    "\\u0041", "PII_EMAIL_b2cdefg", "pii_card_", "<b>", "`", "%40", "x" * 300, "0" * 40, "\0", "a@", "@b", "..", "-",
)  # fmt: skip

NAMES = ("role", "content", "name", "input", "metadata", "arguments", "x", "email", "\u00e9", "type", "", "a.b")


def text(chance, planted):
    """Words, some values between spaces, and here and there JSON within the text."""
    pieces = []
    for _ in range(chance.choice((0, 1, 2, 5))):
        pieces.append(chance.choice(AROUND))
        if chance.random() < 0.4:
            value = chance.choice(PLANTED)
            planted.add(value)
            pieces.append(f" {value} ")
    made = "".join(pieces)
    return json.dumps({"inner": made}) if chance.random() < 0.1 else made


def body(chance, planted, depth=0):
    """Any JSON."""
    match chance.randrange(7 if depth < 5 else 4):
        case 0:
            return chance.choice((None, True, False, 0, -1, 3.5, 10**18, 1e-9))
        case 1 | 2 | 3:
            return text(chance, planted)
        case 4:
            return [body(chance, planted, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {chance.choice(NAMES): body(chance, planted, depth + 1) for _ in range(chance.randrange(4))}


def normal(value):
    """JSON within strings may have lost its white space."""
    if isinstance(value, str):
        try:
            return normal(json.loads(value)) if value[:1] in "{[" and value else value
        except ValueError:
            return value
    if isinstance(value, dict):
        return {key: normal(inner) for key, inner in value.items()}
    return [normal(inner) for inner in value] if isinstance(value, list) else value


def mutated(data, chance):
    """Bytes that were JSON."""
    broken = bytearray(data)
    for _ in range(chance.choice((1, 2, 6))):
        place = chance.randrange(len(broken) + 1)
        if chance.random() < 0.5:
            broken[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(3))
        else:
            broken[place:place] = chance.choice((b'"', b"{", b"]", b"\\u", b"\xff", b"\\ud800", b"1e999", b"9" * 5000))
    return bytes(broken)


def check(policy, redactor, chance):
    """One body as it is, and once broken."""
    planted = set()
    said = {"messages": body(chance, planted)}
    data = json.dumps(said, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    book = TokenBook(b"t" * 32)
    try:
        up = redactor.redact(data, book).body
    except ScreeningFailed:
        assert _has_half_a_pair(data), "a good body was not read"
        return
    for value in planted:
        assert value.encode() not in up, value
    restorer = Restorer(book, policy.form)
    back = restorer.json(up.decode())
    assert normal(json.loads(back)) == normal(json.loads(data)), "what comes back is something else"
    stream, echoed, pieces = Restorer(book, policy.form).stream(in_json=True), up.decode(), []
    while echoed:
        size = chance.choice((1, 2, 7, 50))
        pieces.append(stream.feed(echoed[:size]))
        echoed = echoed[size:]
    assert "".join([*pieces, stream.end()]) == back, "a stream says something else"
    broken = mutated(data, chance)
    try:
        up = redactor.redact(broken, book).body
    except Refusal:
        return
    json.loads(up)  # it was still JSON


def _has_half_a_pair(data):
    try:
        data.decode()
        json.dumps(json.loads(data), ensure_ascii=False).encode()
    except UnicodeError:
        return True
    return False


def fuzz(seconds, seed):
    """Fuzz for so long; returns how many bodies were tried."""
    chance = random.Random(seed)
    policy = PrivacyPolicy.compile(Privacy())
    redactor = Redactor(policy)
    count = 0
    due_s = time.monotonic() + seconds
    while time.monotonic() < due_s:
        state = random.Random()
        state.setstate(chance.getstate())
        try:
            check(policy, redactor, chance)
        except BaseException:
            sys.stderr.write(f"seed {seed}, body {count}: {json.dumps({'messages': body(state, set())})}\n")
            raise
        count += 1
    return count


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--seed", type=int, default=None)
    chosen = arguments.parse_args()
    first = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {first}: {fuzz(chosen.seconds, first)} bodies, nothing found")
