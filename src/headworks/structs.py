"""Bases for the Structs of modules that may be compiled: there, what a class statement says in keywords is lost.

mypyc makes such a class without its keywords, and msgspec passes the options of a base on. Both say them: the type
checker reads them from the class itself.
"""

import msgspec


class Frozen(msgspec.Struct, frozen=True):
    """A value."""


class Untracked(msgspec.Struct, gc=False):
    """Not looked at by the garbage collector: it is in no circle."""


class FrozenUntracked(msgspec.Struct, frozen=True, gc=False):
    """Both."""
