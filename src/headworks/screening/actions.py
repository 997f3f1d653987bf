"""What may happen when a model calls a tool with a side effect: the contract's action policy."""

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from headworks.config.contract import Action
from headworks.screening.output import canonical_json

ActionDecision = Literal["allow", "deny", "hold"]


class ActionPolicy:
    """The actions of one contract. A tool that it does not name only reads, and is allowed."""

    __slots__ = ("_actions",)

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._actions = dict(actions)

    @classmethod
    def compile(cls, actions: Mapping[str, Action]) -> "ActionPolicy":
        """The policy of a contract's `actions`."""
        return cls(actions)

    def decide(self, name: str) -> ActionDecision:
        """Whether a call of this tool may go on, may not, or waits for a person."""
        action = self._actions.get(name)
        return "allow" if action is None else action.policy

    @property
    def has_holds(self) -> bool:
        """Whether any tool's calls wait for a person."""
        return any(action.policy == "hold" for action in self._actions.values())

    def expires_s(self, name: str) -> float:
        """Seconds after which a held call of this tool is denied.

        Raises:
            KeyError: the contract does not name the tool.
        """
        return self._actions[name].expires_s


def approval_hash(name: str, arguments: str) -> str:
    """What an approval binds to: the SHA-256, in hexadecimal, of a tool's name and its arguments.

    White space and the order of properties do not count, whatever else differs does: a number spelled in another way
    is another number.

    Arguments:
        arguments: JSON, as the model wrote it.

    Raises:
        CommandError: the arguments are not JSON, or have a name twice, so that they could mean two things.
    """
    # A JSON array of both, so that no name can pass for a part of the arguments.
    bound = f"[{json.dumps(name, ensure_ascii=True)},{canonical_json(arguments, sorts_keys=True)}]"
    return hashlib.sha256(bound.encode()).hexdigest()
