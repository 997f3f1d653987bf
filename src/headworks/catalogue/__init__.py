"""Models and their tokens: data and the arithmetic on it. Prices, limits and retirements will stand here too.

May import `calls` and `errors`. Pure.
"""

from headworks.catalogue.tokens import count_tokens

__all__ = ["count_tokens"]
