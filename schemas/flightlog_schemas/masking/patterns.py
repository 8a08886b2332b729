r"""What looks secret within a text, whoever wrote it.

Each pattern is tried only on texts that hold one of its needles, for most texts hold none; `may_hold_secret`
asks for all needles at once. Patterns take time in proportion to the text: no nested repeats.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from flightlog_schemas.masking.keys import is_secret_key
from flightlog_schemas.masking.mask import MASK

_ROUNDS: Final = 4
"""What one pattern masks may bare what another looks for; twice is enough for all that is known."""


class Pattern(NamedTuple):
    """One look of secrets.

    Attributes:
        name: What it is.
        needles: One of these is in every text that it is in.
        folded: Whether needles are looked for in the lower-case text.
        regex: Where it is.
        put: What `re.sub` puts there.
    """

    name: str
    needles: tuple[str, ...]
    folded: bool
    regex: re.Pattern[str]
    put: str | Callable[[re.Match[str]], str]


_NO_VALUE: Final = frozenset({"", "null", "none", "nil", "true", "false", "undefined", MASK})
"""What says that there is no secret, or that it is masked."""

_VALUE: Final = (
    r"(?:(?P<quote>\\*[\"'])(?P<quoted>[^\n]*?)(?:(?<!\\)(?P=quote)|(?=\n)|\Z)"
    r"|(?P<bare>(?:(?:bearer|basic|token|apikey|negotiate)[ \t]+)?"
    # A comma or bracket is part of a value unless something follows that is another's.
    r"(?![\[{(])(?:[^\s\"'\\,;&)}\]]|[,;&)}\]](?!\s|\Z|[\"'\\,;&)}\]]|[\w.-]+[ \t]*[=:]))+))"
)


def _hide_value(found: re.Match[str]) -> str:
    """Mask the value of a match whose group `key` is a secret's name."""
    quoted = found["quoted"]
    value = found["bare"] if quoted is None else quoted
    if value.lower() in _NO_VALUE or not is_secret_key(found["key"]):
        return found[0]
    quote = found["quote"] or ""
    return f"{found['key']}{found['between']}{quote}{MASK}{quote}"


_KEY_NEEDLES: Final = ("passw", "passphrase", "pwd", "secret", "token", "key", "credential", "authorization")

PATTERNS: Final = (
    # PEM and OpenSSH (RFC 7468, PROTOCOL.key), OpenPGP (RFC 9580, 6.2); also with newlines as JSON has them.
    Pattern(
        "private key",
        ("PRIVATE KEY",),
        False,
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)",
            re.DOTALL,
        ),
        MASK,
    ),
    # userinfo of RFC 3986, 3.2.1; slashes also as PHP's JSON has them.
    Pattern(
        "URL with a password",
        ("@",),
        False,
        re.compile(r"(:\\?/\\?/[^\s:/?#@\"'\\]*:)[^\s/?#\"'\\]+(?=@)"),
        rf"\1{MASK}",
    ),
    # docs.aws.amazon.com/IAM, "IAM identifiers", unique prefixes: AKIA and ASIA are access keys.
    Pattern(
        "AWS access key id",
        ("AKIA", "ASIA"),
        False,
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        MASK,
    ),
    # docs.github.com, "About authentication to GitHub", token formats.
    Pattern(
        "GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        False,
        re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
        MASK,
    ),
    # docs.gitlab.com, "Token overview", token prefixes.
    Pattern(
        "GitLab token",
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"),
        False,
        re.compile(r"(?<![A-Za-z0-9])gl(?:pat|dt|rt|ptt|cbt)-[\w.-]{20,}", re.ASCII),
        MASK,
    ),
    # docs.slack.dev, "Tokens".
    Pattern(
        "Slack token",
        ("xox", "xapp-"),
        False,
        re.compile(r"(?<![A-Za-z0-9])(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{10,}", re.ASCII),
        MASK,
    ),
    # RFC 7519: three parts in base64url, the first two of them JSON objects; an unsecured one ends in a dot.
    Pattern(
        "JSON Web Token",
        ("eyJ",),
        False,
        re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*", re.ASCII),
        MASK,
    ),
    # cloud.google.com/docs/authentication/api-keys: 39 characters that begin with AIza.
    Pattern(
        "Google API key",
        ("AIza",),
        False,
        re.compile(r"(?<![A-Za-z0-9])AIza[\w-]{35}", re.ASCII),
        MASK,
    ),
    # docs.stripe.com/keys: secret and restricted keys.
    Pattern(
        "Stripe key",
        ("k_live_", "k_test_"),
        False,
        re.compile(r"(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{10,}"),
        MASK,
    ),
    # platform.openai.com/docs and docs.anthropic.com, API keys: sk-, sk-proj-, sk-ant-. A digit tells them
    # from names.
    Pattern(
        "OpenAI or Anthropic key",
        ("sk-",),
        False,
        re.compile(r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]{0,64}[0-9])[\w-]{20,}", re.ASCII),
        MASK,
    ),
    # RFC 7616 and docs.aws.amazon.com, "Signature Version 4": many parameters, all to the end of the line.
    Pattern(
        "Authorization header with parameters",
        ("authorization",),
        True,
        re.compile(
            r"(authorization[\"'\\]*[ \t]*[:=][ \t]*[\"'\\]*)(?:digest|aws4-hmac-sha256)[ \t][^\r\n]*",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # RFC 6750, 2.1.
    Pattern(
        "bearer token",
        ("bearer",),
        True,
        re.compile(r"(\bbearer[ \t]+)[A-Za-z0-9._~+/-]{16,}=*", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # password=..., "api_key": "...", Authorization: Bearer ...; keys as `keys` has them.
    Pattern(
        "named value",
        _KEY_NEEDLES,
        True,
        re.compile(
            r"(?P<key>(?<![\w.-])(?:(?:api|access|private|secret|signing|encryption)[ ])?[\w.-]++)"
            r"(?P<between>\\*[\"']?[ \t]*(?:=>|:=|[:=])[ \t]*)" + _VALUE,
            re.IGNORECASE,
        ),
        _hide_value,
    ),
    # --token abc
    Pattern(
        "option with a value",
        _KEY_NEEDLES,
        True,
        re.compile(
            r"(?P<key>(?<![\w.-])--?[A-Za-z][\w-]*+)(?P<between>[ \t]+)(?!--?[A-Za-z])" + _VALUE,
            re.IGNORECASE,
        ),
        _hide_value,
    ),
)


def may_hold_secret(text: str) -> bool:
    """Say whether a text holds a needle of any pattern. Where it does not, `mask_text` changes nothing."""
    folded = text.lower()
    # It is asked of every line, so few searches must do: for what needles share, or for one rare letter.
    return (
        ("ke" in folded and ("key" in folded or "token" in folded))
        or ("cre" in folded and ("secret" in folded or "credential" in folded))
        or ("w" in folded and ("passw" in folded or "pwd" in folded))
        or ("z" in folded and "authorization" in folded)
        or "ssphr" in folded
        or "beare" in folded
        or "@" in text
        or ("J" in text and "eyJ" in text)
        or ("A" in text and ("AKIA" in text or "ASIA" in text or "AIza" in text or "PRIVATE KEY" in text))
        or ("_" in text and ("k_live_" in text or "k_test_" in text or "gh" in text or "_pat_" in text))
        or ("-" in text and ("sk-" in text or "gl" in text))
        or ("x" in text and ("xox" in text or "xapp-" in text))
    )


def mask_text(text: str) -> str:
    """Return a text with everything masked that looks secret."""
    for _ in range(_ROUNDS):
        if not may_hold_secret(text):
            break
        masked = _mask_once(text)
        if masked == text:
            break
        text = masked
    return text


def _mask_once(text: str) -> str:
    folded = text.lower()
    for pattern in PATTERNS:
        within = folded if pattern.folded else text
        if any(needle in within for needle in pattern.needles):
            text = pattern.regex.sub(pattern.put, text)
    return text
