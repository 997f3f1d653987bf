"""Whether the hot path runs compiled, or as Python source: the same source, at another price."""

import importlib.util
from collections.abc import Sequence

MODULES = ("headworks.unary", "headworks.streaming", "headworks.server.connection", "headworks.transport.pool")
"""What each call or stream runs through, of the modules that `tools/compiling` compiles: all of them, or none."""

COMPILED = (".so", ".pyd")
"""How the files of extension modules end."""


def origin(module: str) -> str:
    """The file that a module is loaded from; "" where there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return ""
    return "" if spec is None else spec.origin or ""


def as_source(modules: Sequence[str] = MODULES) -> list[str]:
    """Which of them are not compiled, in the interpreter that asks."""
    return [module for module in modules if not origin(module).endswith(COMPILED)]
