"""The semantic caches of a configuration: whether each may be on, and its parts put together."""

import time

from headworks.cached_calls import Semantic
from headworks.compiled import CompiledWorkload, Published, compile_workload
from headworks.config import SemanticEvidence, Workload
from headworks.config.semantic import why_not_semantic
from headworks.embedding import load_local_model
from headworks.errors import CommandError, Problem
from headworks.prompts import Prompt
from headworks.response_cache import LIKENESS, Neighbours, ResponseCache

_PLACE = ("cache", "semantic")


def prompt_in_use(workload: Workload, published: Published) -> Prompt | None:
    """The prompt that calls are made with.

    Raises:
        ConfigError: a file of the workload cannot be used.
    """
    return compile_workload(workload, locked_model="", published=published).prompt


def has_semantic(workload: Workload) -> bool:
    """Whether a workload's contract asks for a semantic cache."""
    cache = workload.contract.cache
    return cache is not None and cache.semantic is not None


def over_fault(workload: Workload, prompt: Prompt | None) -> str:
    """What is wrong with the variable whose text is to be compared; "" if nothing."""
    assert workload.contract.cache is not None, "who asks has looked"
    assert workload.contract.cache.semantic is not None, "who asks has looked"
    over = workload.contract.cache.semantic.over
    if not over:
        return ""
    variables = {} if prompt is None else prompt.variables
    if over not in variables:
        return f"the prompt has no variable `{over}`, whose text could be compared"
    if variables[over].type != "string":
        return f"the variable `{over}` is no text (`type: string`), which could be compared"
    return ""


def semantic_problem(workload: Workload, prompt: Prompt | None, evidence: SemanticEvidence | None) -> Problem | None:
    """Why a workload's semantic cache must not be on; None where it may, or where there is none.

    Arguments:
        prompt: that calls are made with.
    """
    if not has_semantic(workload):
        return None
    fault = over_fault(workload, prompt)
    if not fault:
        try:
            model = load_local_model().identity
        except CommandError as error:
            return workload.problem(_PLACE, str(error))
        prompt_hash = "" if prompt is None else prompt.hash
        fault = why_not_semantic(workload, evidence, prompt_hash=prompt_hash, model=model, likeness=LIKENESS)
    return workload.problem(_PLACE, fault) if fault else None


def semantic_of(work: CompiledWorkload, cache: ResponseCache, secret: bytes) -> Semantic | None:
    """What of a workload's calls may be another text; None where nothing.

    Raises:
        CommandError: the local model cannot be read.
    """
    settings = work.contract.cache
    if settings is None or settings.semantic is None:
        return None
    semantic = settings.semantic
    near = Neighbours(cache, load_local_model(), semantic.at_least, secret, time.time)
    return Semantic(near, semantic.over, "" if work.prompt is None else work.prompt.hash)
