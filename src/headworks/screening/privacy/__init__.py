"""Personal data and secrets: found in what goes up, replaced by tokens, and put back in what comes down.

May import `errors`, `database` and `config.privacy`.
"""

from headworks.screening.privacy.finding import Finder, Finding, Recogniser

__all__ = ["Finder", "Finding", "Recogniser"]
