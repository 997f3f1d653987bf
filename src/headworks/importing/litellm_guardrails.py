"""LiteLLM's `guardrails`: Presidio's become the screening of all calls, where they are for all calls.

There, a service is asked for spans, and they are replaced by the name of their kind, which is put back in the answer if
`output_parse_pii` says so. Here, recognisers of the gateway's own find them, and tokens stand for them.

Source: LiteLLM's pages "PII, PHI Masking - Presidio" and "Guardrails - Quick Start"; Presidio, "Supported entities",
2026-11.
"""

from headworks.importing.ledger import Ledger, leaves
from headworks.importing.source import Place, Source, Value
from headworks.importing.writing import Sections

_KINDS = {
    "CREDIT_CARD": "card", "CRYPTO": "wallet", "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "IP_ADDRESS": "ip",
    "PERSON": "person", "PHONE_NUMBER": "phone", "MEDICAL_LICENSE": "dea", "US_BANK_NUMBER": "bank_account",
    "US_DRIVER_LICENSE": "driving_licence", "US_ITIN": "us_itin", "US_PASSPORT": "passport", "US_SSN": "us_ssn",
    "UK_NHS": "uk_nhs", "UK_NINO": "uk_nino", "ES_NIF": "es_dni", "ES_NIE": "es_dni", "PL_PESEL": "pl_pesel",
    "IT_FISCAL_CODE": "it_codice_fiscale", "IT_DRIVER_LICENSE": "driving_licence", "IT_PASSPORT": "passport",
    "IT_IDENTITY_CARD": "passport", "IN_PAN": "in_pan", "IN_AADHAAR": "in_aadhaar", "IN_PASSPORT": "passport",
    "FI_PERSONAL_IDENTITY_CODE": "fi_hetu",
}  # fmt: skip
"""Presidio's entities, and what each is here."""

_ACTIONS = {"MASK": "tokenise", "BLOCK": "block"}
_BY_A_MODEL = "is found by a local model only: `names` of `screening.privacy` (docs/how-to/privacy.md)"
_NOTHING = "is no kind of personal data here: `patterns` or `words` of `screening.privacy` may say what is meant"
_FOR_SOME = (
    "it is for calls that ask for it: say it of teams (`screening.teams`) or of a workload (`screening.privacy` of its "
    "contract)"
)
_SECOND = "what is looked for in all calls is said once, and another guardrail has said it: put the two together"
_BEFORE = "answers are looked at by `answer` of `screening.privacy`, behind what goes up (docs/how-to/privacy.md)"
_PRIVACY = "screening.privacy"


class Guardrails:
    """Reads `guardrails`. Mutable: whether one has become the screening of all calls."""

    def __init__(self, source: Source, ledger: Ledger, sections: Sections) -> None:
        self._source = source
        self._ledger = ledger
        self._sections = sections
        self._is_said = False

    def read(self) -> None:
        """Take over Presidio's; what is said of all others is said elsewhere."""
        for index, one in enumerate((self._source.root.get("guardrails") or Value(0)).items or ()):
            params = one.get("litellm_params") or Value(0)
            kind = params.get("guardrail")
            if kind is not None and kind.text == "presidio":
                self._presidio(one, params, ("guardrails", index))

    def _presidio(self, value: Value, params: Value, place: Place) -> None:
        why = self._why_not(params)
        if why:
            for at, _ in leaves(value, place):
                self._ledger.missing(at, why)
            return
        self._is_said = True
        below: Place = (*place, "litellm_params")
        entities = params.get("pii_entities_config")
        kinds = self._kinds(entities, (*below, "pii_entities_config"))
        is_restored = (params.get("output_parse_pii") or Value(0)).truth is True
        privacy: dict[str, object] = {} if is_restored else {"restore": "nothing"}
        if entities is not None:
            privacy = {"otherwise": "allow", "kinds": kinds, **privacy}
        self._sections.set("screening", "privacy", privacy, value.line)
        told = {
            "guardrail": f"{_PRIVACY}: recognisers of the gateway's own",
            "mode": f"{_PRIVACY}: what goes up",
            "default_on": f"{_PRIVACY}: all calls that belong to no workload",
            "output_parse_pii": f"{_PRIVACY}.restore",
        }
        for name, text in told.items():
            if params.get(name) is not None:
                self._ledger.mapped((*below, name), text)
        if value.get("guardrail_name") is not None:
            self._ledger.needless((*place, "guardrail_name"), "there is one screening of all calls")
        for name in ("presidio_analyzer_api_base", "presidio_anonymizer_api_base", "presidio_language"):
            if params.get(name) is not None:
                self._ledger.needless((*below, name), "no service is asked, and forms of all countries are known")
        if params.get("presidio_score_thresholds") is not None:
            self._ledger.missing(
                (*below, "presidio_score_thresholds"), f"one for all: `least_confidence` of {_PRIVACY}"
            )

    def _why_not(self, params: Value) -> str:
        mode = params.get("mode")
        modes = [] if mode is None else mode.texts() or [mode.text or ""]
        if "pre_call" not in modes:
            return _BEFORE
        if (params.get("default_on") or Value(0)).truth is not True:
            return _FOR_SOME
        return _SECOND if self._is_said else ""

    def _kinds(self, entities: Value | None, place: Place) -> dict[str, str]:
        kinds: dict[str, str] = {}
        for name, action in ((entities or Value(0)).fields or {}).items():
            kind, does = _KINDS.get(name), _ACTIONS.get((action.text or "").upper())
            at = (*place, name)
            if kind is None:
                self._ledger.missing(at, f"{name} {_BY_A_MODEL if name in _FOUND_BY_A_MODEL else _NOTHING}")
            elif does is None:
                self._ledger.missing(at, f"expected MASK or BLOCK: `{_PRIVACY}.kinds.{kind}`")
            else:
                kinds[kind] = does if kinds.get(kind) != "block" else "block"
                self._ledger.mapped(at, f"{_PRIVACY}.kinds.{kind}: {kinds[kind]}")
        return kinds


_FOUND_BY_A_MODEL = frozenset({"LOCATION", "ORGANIZATION", "NRP"})
