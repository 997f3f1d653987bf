"""Which model a workload's prompt is for, and so by what its tokens are counted."""

from typing import TYPE_CHECKING

from headworks.catalogue import Tokenizer, tokenizer_for
from headworks.config import LOCK_FILE, model_of_rung, read_lock

if TYPE_CHECKING:
    from headworks.config import Project, Workload
    from headworks.config.sections.models import Model


def model_in_use(project: "Project", workload: "Workload") -> "Model":
    """The model that a workload's calls go to first: the contract's own, the lock's, the first of the ladder."""
    contract = workload.contract
    locked = read_lock(project.folder / LOCK_FILE).workloads.get(workload.name)
    for name in (contract.model, "" if locked is None else locked.model, *contract.ladder):
        target = model_of_rung(project.config, name) if name else None
        if target is not None:
            return target
    raise AssertionError("the contract's names were checked")


def tokenizer_of(project: "Project", workload: "Workload") -> Tokenizer:
    """What counts the tokens of its prompt."""
    return tokenizer_for(model_in_use(project, workload).model)
