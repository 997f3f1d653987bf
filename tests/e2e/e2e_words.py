"""A real labelled set for the real small model: words that ten people have judged, from VADER's lexicon.

The package vaderSentiment (MIT licence) ships it: Hutto & Gilbert, "VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text", ICWSM 2014. Taken are words whose sign all ten agree on and which they rate at
2.5 of 4 or more: as many of either sign, chosen by their hash.
"""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

NAME = "tone"
BAR = 0.6

CONFIG = """
providers:
  cellar: {kind: openai-compatible, base_url: ADDRESS/v1, speaks: [chat]}
  people: {kind: simulator, plan: people.yaml, pace: 0}
tiers: {nano: cellar/smollm2, flagship: people/gpt-6.1-terra}
"""
_PLAN = "rules:\n  - cases_file: people.jsonl\n    look_for: equal\n    right_share: {mini: 1.0}\n"
_CONTRACT = f"""
owner: tests
description: Say whether a word sounds positive or negative.
ladder: [nano, flagship]
quality: {{bar: {BAR}}}
output: {{max_tokens: 16, temperature: 0}}
"""
_PROMPT = """---
version: 1.0.0
variables:
  word: { type: string, max_length: 64, description: The word. }
---
{% user %}
Sentiment of the word: wonderful
{% assistant %}
positive
{% user %}
Sentiment of the word: murder
{% assistant %}
negative
{% user %}
Sentiment of the word: disgusting
{% assistant %}
negative
{% user %}
Sentiment of the word: friendly
{% assistant %}
positive
{% user %}
Sentiment of the word: kindness
{% assistant %}
positive
{% user %}
Sentiment of the word: disease
{% assistant %}
negative
{% user %}
Sentiment of the word: {{ word }}
{% input %}
"""
_SCORERS = "scorers:\n  - regex: {}\n"


def labelled_words(each: int) -> list[tuple[str, str]]:
    """So many positive and so many negative words, each with its label."""
    found = subprocess.run(
        [os.environ["MODEL_PYTHON"], "-c", "import vaderSentiment; print(vaderSentiment.__path__[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    words: dict[str, list[str]] = {"positive": [], "negative": []}
    for line in (Path(found.stdout.strip()) / "vader_lexicon.txt").read_text("utf-8").splitlines():
        word, mean, _, votes = line.split("\t")
        signs = {(vote > 0) - (vote < 0) for vote in json.loads(votes)}
        if re.fullmatch("[a-z]{4,}", word) and abs(float(mean)) >= 2.5 and len(signs) == 1:
            words["positive" if float(mean) > 0 else "negative"].append(word)
    return [
        (word, label)
        for label, of_label in words.items()
        for word in sorted(of_label, key=lambda one: hashlib.sha256(one.encode()).hexdigest())[:each]
    ]


def write_project(folder: Path, address: str, *, each: int) -> None:
    """A project whose cheapest rung is the real model, and whose best one says what the people have said."""
    workload = folder / "workloads" / NAME
    workload.mkdir(parents=True)
    words = labelled_words(each)
    (folder / "headworks.yaml").write_text(CONFIG.replace("ADDRESS", address))
    (folder / "people.yaml").write_text(_PLAN)
    (folder / "people.jsonl").write_text(
        "".join(
            json.dumps({"input": f"Sentiment of the word: {word}", "answer": label}) + "\n" for word, label in words
        )
    )
    (workload / "workload.yaml").write_text(_CONTRACT)
    (workload / "prompt.md").write_text(_PROMPT)
    (workload / "evals.yaml").write_text(_SCORERS)
    (workload / "golden.jsonl").write_text(
        "".join(
            json.dumps({"id": word, "variables": {"word": word}, "expected": rf"(?i)^\W*{label}", "tags": [label]})
            + "\n"
            for word, label in words
        )
    )
