"""The cache report on recorded calls, whose usage is what the simulator's prompt cache gives for the same requests."""

import json
import re

import msgspec
import pytest

from headworks.access import server_secret
from headworks.caching import fingerprint, hash_key, prefix_of
from headworks.calls import Opened, Settled, SettledWithPrefix
from headworks.cli import main
from headworks.prompts import parse
from headworks.records import JOURNAL_FOLDER
from headworks.records.content import ContentVault
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment
from headworks.simulator.plan import PromptCache
from headworks.simulator.prefix_cache import CacheableText, PrefixMemory
from headworks.simulator.tokens import split

START_US = 1_795_435_200_000_000
FIXED = "\n".join(f"Tickets of kind {n} go to team {n * 7 % 31}." for n in range(200))
FRONT = """---
version: 1.0.0
variables:
  customer: {type: string, max_length: 9999, trusted: true}
---
{% developer %}
"""
LATE = FRONT + FIXED + "\n{% user %}\nA ticket of {{ customer }}.\n"
EARLY = FRONT + "For {{ customer }}.\n" + FIXED + "\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\ntiers: {nano: sim/gpt-6-luna}\n")
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text("owner: support\ndescription: Sorts tickets.\nladder: [nano]\n")
    return tmp_path


@pytest.fixture
def record(project):
    """Records calls of the workload, with the usage of a provider whose cache works as documented."""
    memory = PrefixMemory()
    entries = []

    def record(template, customers, *, keeps="text", version="1.0.0", key="", model="sim/gpt-6-luna", attempts=1):
        text = template.replace("1.0.0", version)
        (project / "workloads" / "triage" / "prompt.md").write_text(text)
        prompt = parse(text, name="triage", file="prompt.md")
        secret = server_secret("file:.headworks/secret", project, {}) if keeps != "nothing" else b""
        for customer in customers:
            n = len(entries)
            rendered = prompt.render({"customer": customer}, marker="3f9a41c07be2d586")
            messages = [{"role": one.role, "content": one.text} for one in rendered.messages]
            fields = {"input": msgspec.Raw(msgspec.json.encode(messages))}
            fields |= {"prompt_cache_key": msgspec.Raw(msgspec.json.encode(key))} if key else {}
            pieces = split(prefix_of(fields).decode())
            use = memory.use(key, CacheableText(pieces), PromptCache(), 1800.0, n)
            opened = Opened(f"call_{n:04d}", START_US + n * 1_000_000, "responses", "triage")
            opened = msgspec.structs.replace(
                opened, provider=model.partition("/")[0], model=model.partition("/")[2], workload="triage"
            )
            call = Settled(opened, "answered", 200, 9, workload="triage", attempts=attempts, usage_source="provider")
            call = msgspec.structs.replace(
                call,
                input_tokens=len(pieces),
                cached_tokens=use.cached_tokens,
                cache_write_tokens=use.write_tokens,
                prompt_version=version,
                prompt_hash=prompt.hash,
            )
            if keeps == "text":
                body = ContentVault(secret).seal(opened.call_id, "triage", "request", msgspec.json.encode(fields))
                call = msgspec.structs.replace(call, request_body=body, content_expires_us=2**61)
            if keeps == "hashes":
                found = fingerprint(fields, hash_key(secret, "triage"))
                entries.append(SettledWithPrefix(call, found))
            else:
                entries.append(call)
        folder = project / ".headworks" / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Segment("worker-1", 1, 1).name).write_bytes(MAGIC + b"".join(map(frame, entries)))

    return record


@pytest.fixture
def cache(project, capsys, monkeypatch):
    # Fingerprints expire by the time of the call, which is fixed here.
    monkeypatch.setattr("headworks.cli.call_prefixes.time.time_ns", lambda: START_US * 1000)

    def run(*flags):
        code = main(["calls", "cache", *flags, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def customers(count):
    return [f"Customer {n}" for n in range(count)]


def line_of(text, part):
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_variable_in_front_is_named_with_the_first_byte_and_its_line(record, cache):
    record(EARLY, customers(6))

    code, out, err = cache("--json")

    (sight,) = [json.loads(line) for line in out.splitlines()]
    (parting,) = sight["partings"]
    assert (code, err) == (0, "")
    assert sight["achievable_tokens"] == sight["cached_tokens"] == 0
    assert parting["first_byte"] == parting["last_byte"] == len(b'[{"role":"developer","content":"For Customer ')
    assert (parting["line"], parting["variables"]) == (line_of(EARLY, "For {{"), ["customer"])
    assert parting["fixed_tokens_behind"] > 1024
    assert parting["calls"] == parting["branches"] == 6
    assert sight["money"]["cheapest"] == "none"
    assert sight["money"]["saved_usd"].startswith("-")


def test_the_text_says_what_to_move_and_what_that_is_worth(record, cache):
    record(EARLY, customers(6))

    _, out, _ = cache()

    assert re.search(r"caching loses \$0\.\d+: \S+ tokens were written at more than the price of input", out)
    assert re.search(
        r"6 of 6 calls part in 6 ways at byte 45: prompt.md:7:\d+, `customer`; about 2,\d\d\d tokens of", out
    )
    assert re.search(r"move it behind them \(worth at most ~\$0\.\d+\)", out)


def test_a_template_with_its_variable_at_the_end_reaches_what_is_achievable(record, cache):
    record(LATE, customers(6))

    _, out, _ = cache("--json")

    sight = json.loads(out)
    rate = sight["cached_tokens"] / sight["input_tokens"]
    assert 0.75 < rate <= sight["achievable_tokens"] / sight["input_tokens"] < 0.85
    assert not sight["money"]["saved_usd"].startswith("-")


def test_hashes_tell_the_same_but_for_the_exact_byte(record, cache):
    record(EARLY, customers(6), keeps="hashes")

    _, out, _ = cache("--json")

    sight = json.loads(out)
    (parting,) = sight["partings"]
    assert (parting["first_byte"], parting["last_byte"], parting["is_known"]) == (0, 511, False)
    assert (parting["line"], parting["variables"]) == (line_of(EARLY, "For {{"), ["customer"])
    assert sight["calls"] == 6


def test_hashes_of_workers_equal_those_of_kept_text(record, cache):
    record(LATE, customers(3), keeps="hashes")
    record(LATE, customers(3), keeps="text")

    _, out, _ = cache("--json")

    sight = json.loads(out)
    assert sight["calls"] == 6
    assert sight["achievable_tokens"] == sight["cached_tokens"] > 0


def test_a_call_with_hashes_alone_has_no_content_to_show(record, cache, project, capsys):
    record(LATE, customers(1), keeps="hashes")

    code = main(["calls", "show", "call_0000", "--bodies", "--config", str(project / "headworks.yaml")])

    printed = capsys.readouterr()
    assert code == 0
    assert "no bodies are kept of this call" in printed.err


def test_a_prompt_that_was_changed_under_its_version_stands_apart(record, cache):
    record(LATE, customers(2))
    record(EARLY, customers(3))

    _, out, _ = cache("--json")

    sights = [json.loads(line) for line in out.splitlines()]
    assert [(sight["prompt_version"], sight["calls"]) for sight in sights] == [("1.0.0", 3), ("1.0.0", 2)]
    assert len({sight["prompt_hash"] for sight in sights}) == 2


def test_where_nothing_is_kept_what_is_achievable_is_not_known(record, cache):
    record(LATE, customers(3), keeps="nothing")

    _, out, _ = cache()
    _, as_json, _ = cache("--json")

    assert "what is achievable is not known" in out
    assert "`retention.prefixes: true`" in out
    sight = json.loads(as_json)
    assert (sight["calls"], sight["calls_without_prefix"], sight["achievable_tokens"]) == (3, 3, None)
    assert sight["cached_tokens"] > 0


def test_versions_stand_apart_and_keys_that_split_a_prefix_are_counted(record, cache):
    record(LATE, customers(2))
    for n in range(4):
        record(LATE, customers(2), version="1.1.0", key=f"user-{n}")

    _, out, _ = cache("--json", "--workload", "triage")

    sights = [json.loads(line) for line in out.splitlines()]
    assert [(sight["prompt_version"], sight["cache_keys"]) for sight in sights] == [("1.1.0", 4), ("1.0.0", 1)]
    assert sights[0]["tokens_lost_to_keys"] > 1024 * 2
    assert sights[0]["achievable_tokens"] > sights[0]["cached_tokens"]


def test_calls_bounds_how_many_are_looked_at(record, cache):
    record(LATE, customers(6))

    _, out, _ = cache("--json", "--calls", "4")

    assert json.loads(out)["calls"] == 4


def test_without_calls_that_is_said(project, cache, record):
    record(LATE, [])

    code, out, err = cache()

    assert (code, out) == (0, "")
    assert "no answered call of a workload" in err


def test_help_says_what_the_columns_mean(capsys):
    with pytest.raises(SystemExit):
        main(["calls", "cache", "--help"])

    out = " ".join(capsys.readouterr().out.split())
    assert "ACHIEVABLE the same calls, in their order, sent through a cache that works as the provider documents" in out


def test_a_breakpoint_that_would_gain_is_said_with_its_place_and_its_money(record, cache):
    # What all share is long enough to be cached, and much of each call's own is written behind it for nobody.
    shared = FIXED[: len(FIXED) // 2]
    record(FRONT + shared + "\n{% user %}\n{{ customer }}\n", [f"{n} " * 1500 for n in range(6)])

    _, out, _ = cache()

    found = re.search(
        r"an explicit breakpoint would have cost \$0\.\d+ less: behind the first ([\d,]+) bytes, with", out
    )
    assert len(shared) - 512 < int(found[1].replace(",", "")) < len(shared) + 512


def test_keys_that_split_a_prefix_are_told_in_words(record, cache):
    for n in range(3):
        record(LATE, customers(2), key=f"user-{n}")

    _, out, _ = cache()

    assert re.search(r"callers send 3 cache keys: \S+ tokens could be read if all calls had one", out)


def test_a_model_without_a_price_or_known_cache_has_a_rate_and_no_money(record, cache):
    record(LATE, customers(4), model="sim/own-model")

    _, out, _ = cache()
    _, as_json, _ = cache("--json")

    assert "no price is known: `prices` in headworks.yaml can say it" in out
    assert "assumed, for the catalogue does not say it of this model: minimum, step, time to live" in out
    sight = json.loads(as_json)
    assert sight["money"] is None
    assert sight["achievable_tokens"] > 1024


def test_calls_whose_prefixes_are_not_known_are_counted_apart(record, cache):
    record(LATE, customers(2))
    record(LATE, customers(3), keeps="nothing")
    record(LATE, customers(1), attempts=2)

    _, out, _ = cache()

    assert "of 5 calls, the prefixes of 2 are known: these are shown" in out
    assert "1 calls more are left out: several attempts, or no count of the provider's" in out


def test_text_that_is_kept_redacted_is_said_to_be(record, cache, project):
    record(LATE, customers(2))
    contract = project / "workloads" / "triage" / "workload.yaml"
    contract.write_text(contract.read_text() + "retention: {content: redacted}\n")

    _, out, _ = cache()

    assert "the text was redacted before it was kept" in out


def test_text_that_cannot_be_opened_is_said_once_and_counts_as_not_kept(record, cache, project):
    record(LATE, customers(3))
    (project / ".headworks" / "secret").unlink()

    _, out, err = cache()

    assert "what is achievable is not known" in out
    assert err.count("cannot be opened") == 1


def test_a_prompt_that_is_gone_leaves_the_byte_and_the_field(record, cache, project):
    record(EARLY, customers(3))
    (project / "workloads" / "triage" / "prompt.md").write_text(LATE)

    _, out, _ = cache()

    assert "3 of 3 calls part in 3 ways at byte 45: `input` of the request" in out


def test_hashes_of_a_prompt_that_is_gone_leave_the_byte(record, cache, project):
    record(EARLY, customers(3), keeps="hashes")
    (project / "workloads" / "triage" / "prompt.md").write_text(LATE)

    _, out, _ = cache()

    assert "at byte 0 to 511: why is not known, for no text is kept that would tell" in out
