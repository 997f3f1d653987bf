"""Headworks: the production layer between applications and LLM APIs.

The library's face: `connect()` gives a gateway in this process, see `headworks.library`. The command line and the
server are `headworks --help`.
"""

from typing import TYPE_CHECKING

from headworks._version import __version__
from headworks.errors import HeadworksError

if TYPE_CHECKING:
    from headworks.library import InProcessGateway, connect

__all__ = ["HeadworksError", "InProcessGateway", "__version__", "connect"]


def __getattr__(name: str) -> object:
    """Load the pipeline when it is first asked for, so that the command line starts without it (PEP 562)."""
    if name in {"InProcessGateway", "connect"}:
        from headworks import library

        return getattr(library, name)
    raise AttributeError(f"module 'headworks' has no attribute {name!r}")
