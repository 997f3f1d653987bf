"""Whether a semantic cache may be on: what was measured must be of today's golden set, prompt, threshold and model."""

import hashlib
import math
from pathlib import Path

from headworks.config.lock import SemanticEvidence
from headworks.config.workloads import Workload

_EVALS_FILE = "evals.yaml"

_ALPHA = 0.05
"""That of `evals.false_hits`, by which evidence is measured."""


def needed_hits(most_false: float) -> int:
    """How many independent hits, none of them false, show that false hits are rarer than allowed: each is of two golden
    cases at least, which ask the same in other words."""
    return math.floor(math.log(_ALPHA) / math.log1p(-most_false)) + 1


def needed_text(most_false: float) -> str:
    """The same in words."""
    hits = needed_hits(most_false)
    return f"it takes {hits} hits, none of them false: {hits} pairs of golden cases that ask the same"


def file_hash(path: Path | None) -> str:
    """SHA-256 of a file's bytes in hexadecimal; "" where there is none."""
    return "" if path is None or not path.is_file() else hashlib.sha256(path.read_bytes()).hexdigest()


def basis_of(workload: Workload, *, prompt_hash: str, model: str, likeness: str) -> dict[str, object]:
    """What a measurement is of: the fields of the evidence that must be the same for it to hold.

    Arguments:
        prompt_hash: of the prompt that calls are made with; "" where there is none.
        model: what vectors depend on.
        likeness: what is compared beside them.
    """
    assert workload.contract.cache is not None, "who asks has looked"
    semantic = workload.contract.cache.semantic
    assert semantic is not None, "who asks has looked"
    return {
        "golden_hash": file_hash(workload.files.golden),
        "evals_hash": file_hash(workload.folder / _EVALS_FILE),
        "prompt_hash": prompt_hash,
        "over": semantic.over,
        "at_least": semantic.at_least,
        "model": model,
        "likeness": likeness,
    }


_WORDS = {
    "golden_hash": "the golden set has",
    "evals_hash": f"{_EVALS_FILE} has",
    "prompt_hash": "the prompt has",
    "over": "`over` has",
    "at_least": "`at_least` has",
    "model": "the embedding model has",
    "likeness": "what is compared beside the model has",
}


def why_not_semantic(
    workload: Workload, evidence: SemanticEvidence | None, *, prompt_hash: str, model: str, likeness: str
) -> str:
    """Why a workload's semantic cache must not be on; "" where it may. Arguments as for `basis_of`."""
    hint = f"`headworks cache measure {workload.name}` measures it"
    if evidence is None:
        cache = workload.contract.cache
        needs = "" if cache is None or cache.semantic is None else f" ({needed_text(cache.semantic.most_false)})"
        return f"how often it would give a wrong answer was never measured: {hint}{needs}"
    basis = basis_of(workload, prompt_hash=prompt_hash, model=model, likeness=likeness)
    changed = [words for name, words in _WORDS.items() if getattr(evidence, name) != basis[name]]
    if changed:
        return f"{changed[0]} changed since it was measured how often it gives a wrong answer: {hint} again"
    assert workload.contract.cache is not None, "`basis_of` has looked"
    semantic = workload.contract.cache.semantic
    assert semantic is not None, "`basis_of` has looked"
    if evidence.upper >= semantic.most_false:
        return (
            f"it gives a wrong answer in up to {evidence.upper:.1%} of its hits ({evidence.false_hits} of "
            f"{evidence.hits} were), and `most_false` allows {semantic.most_false:.1%}: raise `at_least`, and measure "
            "it again"
        )
    return ""
