"""Texts to vectors on this machine: a small static model that comes inside a package, without torch or a network.

The vectors of `wordllama` (extra `semantic`) are averages of its tokens' vectors: texts with the same words are near
one another, whatever their order. That finds what is asked in nearly the same words, and is no reading: "cancel it"
and "do not cancel it" are near, too. Who relies on it measures first (`headworks cache measure`). The model's files
are read as data; nothing of that package is run. This room may import `errors` and the standard library.
"""

from headworks.embedding.local import LocalModel, load_local_model
from headworks.embedding.tokens import Pieces

__all__ = ["LocalModel", "Pieces", "load_local_model"]
