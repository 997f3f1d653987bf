"""Who asks secret managers, for whoever must read a secret and stands below those that ask (`secrets`).

Commands read the store's password or the server secret long before anything is put together. Whoever runs the process
says here, once, how a manager is asked; where nobody has, none is.
"""

from collections.abc import Callable, Mapping

from headworks.errors import SecretError

Ask = Callable[[str, Mapping[str, str]], str]
"""What a manager's reference leads to, with the environment to go by. Raises SecretError."""


class _Source:
    """State: who asks, for the whole process."""

    ask: Ask | None = None


def ask_managers_with(ask: Ask | None) -> None:
    """Have managers asked by this from now on, or by nobody."""
    _Source.ask = ask


def ask_manager(reference: str, environment: Mapping[str, str]) -> str:
    """What the reference leads to.

    Raises:
        SecretError: it cannot be had, or nobody here asks managers.
    """
    if _Source.ask is None:
        raise SecretError(f"{reference} is kept by a secret manager, and none is asked here")
    return _Source.ask(reference, environment)
