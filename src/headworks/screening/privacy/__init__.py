"""Personal data and secrets: found in what goes up, replaced by tokens, and put back in what comes down.

`PrivacyPolicy.compile` makes a contract's `screening.privacy` ready. For each call, `TokenVault.book` (or
`passing_book`, where there is no conversation) gives the book of its tokens; `Redactor.redact` screens the body;
`TokenVault.save` keeps what is new before the body goes up. Of the answer, `AnswerScreen` looks at what the model
brings up itself, and then `Restorer` turns tokens back: both for whole texts and for streams. Every failure is a
`Refusal`, so that a door which nobody watches is closed.

May import `errors`, `database` and `config.privacy`.
"""

from headworks.screening.privacy.answering import AnswerScreen, AnswerStream
from headworks.screening.privacy.books import TokenBook
from headworks.screening.privacy.failures import PersonalDataBlocked, ScreeningFailed
from headworks.screening.privacy.finding import Finder, Finding, Recogniser
from headworks.screening.privacy.kinds import KINDS, Kind
from headworks.screening.privacy.policy import PrivacyPolicy
from headworks.screening.privacy.redacting import Redacted, Redactor
from headworks.screening.privacy.restoring import Restorer, RestoringStream
from headworks.screening.privacy.vault import VAULT_FILE, TokenVault

__all__ = [
    "KINDS",
    "VAULT_FILE",
    "AnswerScreen",
    "AnswerStream",
    "Finder",
    "Finding",
    "Kind",
    "PersonalDataBlocked",
    "PrivacyPolicy",
    "Recogniser",
    "Redacted",
    "Redactor",
    "Restorer",
    "RestoringStream",
    "ScreeningFailed",
    "TokenBook",
    "TokenVault",
]
