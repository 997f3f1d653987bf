"""What may happen when a model calls a tool with a side effect: the contract's action policy."""

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from headworks.config.contract import Action
from headworks.screening.injection import Taint
from headworks.screening.output import canonical_json

ActionDecision = Literal["allow", "deny", "hold"]


class ActionPolicy:
    """The actions of one contract. A tool that it does not name only reads, and is allowed.

    Arguments:
        tainted: what becomes of a call that untrusted text may have brought about, where it would be allowed; None for
            the same as of others.
        taint: of the call whose answer is judged; None where it is of no account.
    """

    __slots__ = ("_actions", "_taint", "_tainted")

    def __init__(
        self, actions: Mapping[str, Action], tainted: Literal["hold", "deny"] | None = None, taint: Taint | None = None
    ) -> None:
        self._actions = dict(actions)
        self._tainted = tainted
        self._taint = taint

    @classmethod
    def compile(
        cls, actions: Mapping[str, Action], *, tainted: Literal["hold", "deny"] | None = None
    ) -> "ActionPolicy":
        """The policy of a contract's `actions`, and of its `screening.injection.taint`."""
        return cls(actions, tainted)

    def under(self, taint: Taint) -> "ActionPolicy":
        """The policy for the answer to one call."""
        is_of_account = self._tainted is not None and taint.has_untrusted and bool(self._actions)
        return ActionPolicy(self._actions, self._tainted, taint) if is_of_account else self

    def names(self, name: str) -> bool:
        """Whether a tool has side effects."""
        return name in self._actions

    def decide(self, name: str) -> ActionDecision:
        """What can be said of a call of this tool by its name: whether it may go on, may not, or has to wait for its
        arguments or for a person."""
        action = self._actions.get(name)
        if action is None:
            return "allow"
        if self._taint is None or self._tainted is None or action.policy == "deny":
            return action.policy
        return self._tainted if self._taint.by == "context" else "hold"

    def decide_call(self, name: str, arguments: str) -> ActionDecision:
        """Whether a whole call may go on, may not, or waits for a person."""
        action = self._actions.get(name)
        if action is None:
            return "allow"
        is_tainted = self._taint is not None and self._taint.is_on(arguments)
        if self._tainted is None or not is_tainted or action.policy == "deny":
            return action.policy
        return "deny" if self._tainted == "deny" else "hold"

    @property
    def waits_for_arguments(self) -> bool:
        """Whether what `decide` says to hold may go on all the same, once its arguments have come."""
        return self._taint is not None and self._taint.by == "arguments"

    @property
    def has_holds(self) -> bool:
        """Whether any tool's calls may have to wait."""
        return any(action.policy == "hold" or self._tainted is not None for action in self._actions.values())

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
