"""A base for Structs of modules that may be compiled: there, what a class statement says in keywords is lost.

mypyc makes such a class without its keywords, and msgspec passes the options of a base on. Both say them: the type
checker reads them from the class itself. Where a Struct need not be in a compiled module it should not be: two of one
such class are there compared by identity.
"""

import msgspec


class Untracked(msgspec.Struct, gc=False):
    """Not looked at by the garbage collector: it is in no circle."""
