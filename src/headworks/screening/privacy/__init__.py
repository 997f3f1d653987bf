"""Personal data and secrets: found in what goes up, replaced by tokens, and put back in what comes down.

`PrivacyPolicy.compile` makes a `screening.privacy` ready. For each call, `TokenBook.of_tenant` gives the book of its
tokens, or `TokenVault.book` where the provider remembers the conversation; `PrivacyPolicy.entities` is asked for names
where the contract has a model; `Redactor.redact` screens the body;
`TokenVault.save` keeps what is new before anybody can go on from the answer. Of the answer, `AnswerScreen` looks at
what the model brings up itself, and then `Restorer` turns tokens back: both for whole texts and for streams;
`AnswerBody` does both for all strings of a body. Every failure is a `Refusal`, so that a door which nobody watches is
closed.

May import `errors`, `database`, `config.privacy` and `screening.bounded`.
"""

from headworks.screening.privacy.answering import AnswerScreen, AnswerStream
from headworks.screening.privacy.bodies import ARGUMENTS, AnswerBody, may_hold_token
from headworks.screening.privacy.books import TokenBook
from headworks.screening.privacy.entities import NO_ENTITIES, Entities, EntityFailure, EntityPool
from headworks.screening.privacy.failures import PersonalDataBlocked, ScreeningFailed
from headworks.screening.privacy.finding import Finder
from headworks.screening.privacy.findings import Finding, Recogniser
from headworks.screening.privacy.kinds import KINDS, Kind
from headworks.screening.privacy.plugged import TextJudge, Verdict
from headworks.screening.privacy.policy import PrivacyPolicy
from headworks.screening.privacy.redacting import Redacted, Redactor
from headworks.screening.privacy.restoring import Restorer, RestoringStream
from headworks.screening.privacy.vault import VAULT_FILE, Save, TokenVault, Written

__all__ = [
    "ARGUMENTS",
    "KINDS",
    "NO_ENTITIES",
    "VAULT_FILE",
    "AnswerBody",
    "AnswerScreen",
    "AnswerStream",
    "Entities",
    "EntityFailure",
    "EntityPool",
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
    "Save",
    "ScreeningFailed",
    "TextJudge",
    "TokenBook",
    "TokenVault",
    "Verdict",
    "Written",
    "may_hold_token",
]
