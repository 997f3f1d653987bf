"""Keys and secrets: by the prefixes that their issuers gave them, by their form, or by the word before them."""

import math
import re
from collections import Counter

from headworks.screening.privacy.judging import always
from headworks.screening.privacy.patterns import Hit, Pattern, any_of

_K = r"[A-Za-z0-9_-]"

_PREFIXED = (
    rf"sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?{_K}{{20,200}}",  # OpenAI, Anthropic, OpenRouter
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}",  # GitHub
    rf"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas)-{_K}{{20,100}}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,200}|xapp-[0-9]-[A-Za-z0-9-]{10,200}",  # Slack
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,200}|whsec_[A-Za-z0-9+/=]{24,100}",  # Stripe
    rf"AIza{_K}{{35}}|ya29\.{_K}{{20,250}}|GOCSPX-{_K}{{28}}",  # Google
    rf"SG\.{_K}{{22}}\.{_K}{{43}}",  # SendGrid
    r"npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}|hf_[A-Za-z0-9]{30,50}|dop_v1_[0-9a-f]{64}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|r8_[A-Za-z0-9]{37}|gsk_[A-Za-z0-9]{40,60}|xai-[A-Za-z0-9]{60,100}",
    rf"hvs\.{_K}{{24,200}}|AGE-SECRET-KEY-1[0-9A-Z]{{58}}|hw-{_K}{{30,100}}",  # Vault, age, ours
    rf"[0-9]{{8,10}}:AA{_K}{{33}}",  # Telegram
)
"""Prefixes as the issuers document them, and as GitHub's list of secret scanning patterns has them (2026-06)."""

_WORD = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|contrasena|mot de passe|senha|haslo|wachtwoord|losenord"
    r"|(?:api|access|secret|private|auth|encryption|signing|account|shared)[_ -]?keys?|secret|token|credentials?"
    r"|bearer|authorization|client[_ -]?secret|connection[_ -]?string)"
)
_WEAK_WORDS = (
    b"token",
    b"key",
    b"keys",
    b"secret",
    b"bearer",
    b"credential",
    b"credentials",
    b"authorization",
    b"string",
)
_SIGNS = bytes(code for code in range(256) if not (bytes((code,)).isalnum() or code == 95))
_STRONG_WORD = re.compile(rb"(?:api|access|secret|private|auth|client|signing|account)[_ -]?(?:key|token|secret)")
_NO_SECRET = re.compile(
    rb"(?:next|page|paging|continuation|idempotency|lock|change|import|client|request|sync|start|cursor|ignore|end|first|last"
    rb"|primary|foreign|partition|sort|cache|object|public|pub)[_ -]?(?:token|key)[\"']?\W{0,6}$|:secret:$"
)
_UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_PLACEHOLDER = re.compile(
    rb"(?i)x{4,}|\*{3,}|\.{3}|your|example|changeme|placeholder|redacted|dummy|<|\$\{?[a-z_]|\{\{|%\(|%s|environ|getenv"
    rb"|process\.env|config|settings|self\.|pii_|none|null|true|false|optional|required|undefined|password|secrets?[._]"
)
_CODE = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*(?:[.(\[:]|->|=|$).*", re.DOTALL)
_DIGIT = re.compile(rb"[0-9]")
_LETTER = re.compile(rb"[A-Za-z]")
_OTHER = re.compile(rb"[^A-Za-z0-9]")

_LEAST_BITS = 3.0
"""Shannon entropy a character: English words have 2.5 to 3, random base 32 of twenty characters about 3.8."""


def entropy(value: bytes) -> float:
    """Bits a character."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())


def _secret(data: bytes, start: int, end: int) -> Hit | None:
    value = data[start:end].rstrip(b".:)]")
    if len(value) < 6:
        return None
    end = start + len(value)
    is_quoted = data[max(0, start - 1) : start] in (b'"', b"'")
    before = data[max(0, start - 24) : start].lower()
    has_digit = _DIGIT.search(value) is not None
    if not has_digit and not is_quoted:
        return None
    has_letter = _LETTER.search(value) is not None
    if before.rstrip(_SIGNS).endswith(_WEAK_WORDS):
        if len(value) < 12 or not (has_digit and has_letter):
            return None
        least = 12 if is_quoted or _STRONG_WORD.search(before) else 16
        if len(value) < least or entropy(value) < _LEAST_BITS or _is_code(value, is_quoted=is_quoted):
            return None
        is_other = _NO_SECRET.search(before) is not None or _UUID.fullmatch(value) is not None
        return None if is_other or _PLACEHOLDER.search(value) else ("secret", start, end, 0.8)
    if not has_digit and _OTHER.search(value) is None:
        return None
    if not has_letter and len(value) < 8 and not is_quoted:
        return None
    is_none = _is_code(value, is_quoted=is_quoted) or _PLACEHOLDER.search(value) is not None
    return None if is_none else ("secret", start, end, 0.8)


def _is_code(value: bytes, *, is_quoted: bool) -> bool:
    """Whether it rather is an expression: `password = read_password(1)`."""
    if is_quoted:
        return b" " in value
    return b"(" in value or b"[" in value or (_CODE.fullmatch(value) is not None and _DIGIT.search(value) is None)


def _url(data: bytes, start: int, end: int) -> Hit | None:
    value = data[start:end]
    return None if _PLACEHOLDER.search(value) else ("url_credentials", start, end, 0.9)


def _prefixed(data: bytes, start: int, end: int) -> Hit | None:
    value = data[start:end]
    # A name in code (sk-learn-something-long) has no digit, or only small letters and dashes.
    if (_DIGIT.search(value) is None and entropy(value) < 4) or re.search(rb"(?i)x{6,}|\.{3}", value):
        return None
    return "api_key", start, end, 0.95


PATTERNS = (
    Pattern(
        r"\b(" + "|".join(_PREFIXED) + ")",
        _prefixed,
        needles=any_of(
            "sk-|akia|asia|abia|acca|ghp_|gho_|ghu_|ghs_|ghr_|github_pat|glpat-|gldt-|glrt-|glcbt-|glptt-|glft-"
            "|glimt-|glagent-|gloas-|xox|xapp|k_live|k_test|whsec|aiza|ya29|gocspx|sg.|npm_|pypi-|hf_|dop_|shp|r8_|gsk_|xai-|hvs.|age-secret|hw-|:aa"
        ),
        reach=(266, 24),
    ),
    Pattern(
        r"(?i)hooks\.slack\.com/services/(T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,30})",
        always("api_key", 0.95),
        needles=any_of("hooks.slack"),
        reach=(83, 24),
    ),
    Pattern(
        r"\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)",
        always("jwt", 0.99),
        needles=any_of("eyj"),
        is_long=True,
    ),
    Pattern(
        r"(-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-[^-])*"
        r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?)",
        always("private_key", 0.99),
        needles=any_of("-----begin"),
        is_long=True,
    ),
    Pattern(
        r"(?i)\baws[a-z_ .-]{0,24}(?:secret|key)[a-z_ .-]{0,24}[\"']?[ :=>]{1,4}[\"']?([A-Za-z0-9/+]{40})\b",
        always("api_key", 0.9),
        needles=any_of("aws"),
        reach=(103, 24),
    ),
    Pattern(
        r"(?i)"
        + _WORD
        + r"[\"'\]]{0,2}[ \t]{0,3}(?:=>|:=|[:=]|is\b|was\b|ist\b| )[ \t]{0,3}(?:bearer[ \t]{1,2}|basic[ \t]{1,2})?"
        r"[\"']?([^\s\"'`,;<>{}&\x7f]{6,200})",
        _secret,
        needles=any_of(
            "pass|pwd|kennwort|contrasena|senha|haslo|wachtwoord|losenord|key|secret|token|credential|"
            "bearer|authorization|connection"
        ),
        reach=(237, 24),
        retries=True,
    ),
    Pattern(
        r"(?i)\b[a-z][a-z0-9+.-]{1,20}://([^\s/:@\"'<>\\]{0,64}:[^\s/@\"'<>\\]{1,128})@[a-z0-9\[]",
        _url,
        needles=any_of("://"),
        reach=(219, 24),
        wider=r"[A-Za-z0-9+.-]://[^\s/@\"'<>]*:[^\s/@\"'<>]+@",
    ),
)
