r"""What looks secret within a text, whoever wrote it.

Each pattern is tried only on texts that hold one of its needles, for most texts hold none; `may_hold_secret`
asks for all needles at once. Patterns take time in proportion to the text: no nested repeats.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from flightlog_schemas.masking.keys import PASS_OF, is_secret_key
from flightlog_schemas.masking.mask import MASK
from flightlog_schemas.regex import compiled

_ROUNDS: Final = 4
"""What one pattern masks may bare what another looks for; twice is enough for all that is known."""


class Pattern(NamedTuple):
    """One look of secrets.

    Attributes:
        name: What it is.
        needles: One of these is in every text that it is in.
        folded: Whether needles are looked for in the lower-case text.
        mask: Masks it in a text.
    """

    name: str
    needles: tuple[str, ...]
    folded: bool
    mask: Callable[[str], str]


_NO_VALUE: Final = frozenset({"", "null", "none", "nil", "true", "false", "undefined", MASK})
"""What says that there is no secret, or that it is masked."""

_VALUE: Final = (
    # Also b'...', $'...' and what wraps a value: SecretStr('...').
    r"(?P<opening>(?:[bBuUrRfF]{1,2}|\$|[A-Za-z_][\w.]{0,40}\()?)"
    r"(?P<quote>\\*(?:\"{3}|'{3}|[\"']))(?P<quoted>[^\n]*?)(?:(?<!\\)(?P=quote)|(?=\n)|\Z)"
    r"|(?P<bare>(?:(?:bearer|basic|token|apikey|negotiate)[ \t]+)?"
    # A comma or bracket is part of a value unless something follows that is another's.
    r"(?![\[{(])(?:[^\s\"'\\,;&)}\]]|[,;&)}\]](?!\s|\Z|[\"'\\,;&)}\]]|[\w.-]+[ \t]*[=:]))+)"
)


def _values_of(names: str) -> Callable[[str], str]:
    """Return what masks the values that follow names, where the group `name` calls them secret."""

    def mask(text: str) -> str:
        search = compiled(names, re.IGNORECASE).search
        match_value = compiled(_VALUE, re.IGNORECASE).match
        parts: list[str] = []
        at = kept = 0
        while (named := search(text, at)) is not None:
            at = named.end()
            if not is_secret_key(named["name"]):
                continue  # what follows may hold names itself
            value = match_value(text, at)
            if value is None:
                continue
            at = value.end()
            group = "bare" if value["quoted"] is None else "quoted"
            if value[group].lower() not in _NO_VALUE:
                quote = value["quote"] or ""
                parts += (text[kept : value.start()], value["opening"] or "", quote, MASK, quote)
                kept = at
        return "".join([*parts, text[kept:]]) if parts else text

    return mask


def _matches_of(regex: str, put: str = MASK, flags: re.RegexFlag = re.ASCII) -> Callable[[str], str]:
    """Return what masks all that a pattern matches, but for its first group."""
    return lambda text: compiled(regex, flags).sub(put, text)


def _mask_elements(text: str) -> str:
    """Mask the texts of XML elements with secret names; `token` alone is what language is cut into."""

    def mask(element: re.Match[str]) -> str:
        name = element["name"].rpartition(":")[2]
        secret = name.lower() != "token" and is_secret_key(name)
        if not secret or element["text"].strip().lower() in _NO_VALUE:
            return element[0]
        return f"{element['head']}{MASK}"

    found = compiled(r"(?P<head><(?P<name>[\w.:-]+)(?:\s[^<>]*)?>)(?P<text>[^<>]+)(?=<\\?/)", re.NOFLAG)
    return found.sub(mask, text)


_KEY_NEEDLES: Final = (
    *("passw", "passphrase", "pwd", "secret", "token", "key", "credential", "authorization"),
    *(f"{whose}{between}pass" for whose in PASS_OF for between in ("", "_", "-", ".")),
)

_ONES_OWN: Final = r"[a-z][_.-]?pass(?![a-z])"
"""What may be one of them; most texts with these letters say passed, or password."""

_GITHUB: Final = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")
_GITLAB: Final = ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-")
_SK: Final = r"sk-(?:(?<![A-Za-z0-9_-]sk-)|(?<=\\[a-z]sk-)|(?<=\\u[0-9A-Fa-f]{4}sk-))"
"""Where a key may begin, also behind an escape of JSON."""

PATTERNS: Final = (
    # PEM and OpenSSH (RFC 7468, PROTOCOL.key), OpenPGP (RFC 9580, 6.2); also with newlines as JSON has them.
    Pattern(
        "private key",
        ("PRIVATE KEY",),
        False,
        _matches_of(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)",
            flags=re.DOTALL,
        ),
    ),
    # userinfo of RFC 3986, 3.2.1; slashes also as PHP's JSON has them.
    Pattern(
        "URL with a password",
        ("@",),
        False,
        _matches_of(r"(:\\?/\\?/[^\s:/?#@\"'\\]*:)[^\s/?#\"'\\]+(?=@)", rf"\1{MASK}"),
    ),
    # docs.aws.amazon.com/IAM, "IAM identifiers", unique prefixes: AKIA and ASIA are access keys.
    Pattern(
        "AWS access key id",
        ("AKIA", "ASIA"),
        False,
        _matches_of(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    # docs.github.com, "About authentication to GitHub", token formats.
    Pattern(
        "GitHub token",
        (*_GITHUB, "github_pat_"),
        False,
        _matches_of(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ),
    # docs.gitlab.com, "Token overview", token prefixes.
    Pattern(
        "GitLab token",
        _GITLAB,
        False,
        _matches_of(r"(?<![A-Za-z0-9])gl(?:pat|dt|rt|ptt|cbt)-[\w.-]{20,}"),
    ),
    # docs.slack.dev, "Tokens".
    Pattern(
        "Slack token",
        ("xox", "xapp-"),
        False,
        _matches_of(r"(?<![A-Za-z0-9])(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{10,}"),
    ),
    # RFC 7519: three parts in base64url, the first two of them JSON objects; an unsecured one ends in a dot.
    Pattern(
        "JSON Web Token",
        ("eyJ",),
        False,
        _matches_of(r"(?<![A-Za-z0-9])eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"),
    ),
    # cloud.google.com/docs/authentication/api-keys: 39 characters that begin with AIza.
    Pattern(
        "Google API key",
        ("AIza",),
        False,
        _matches_of(r"(?<![A-Za-z0-9])AIza[\w-]{35}"),
    ),
    # docs.stripe.com/keys: secret and restricted keys.
    Pattern(
        "Stripe key",
        ("k_live_", "k_test_"),
        False,
        _matches_of(r"(?<![A-Za-z0-9])[rs]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    ),
    # platform.openai.com/docs and docs.anthropic.com, API keys: sk-, sk-proj-, sk-ant-. A digit tells them
    # from names.
    Pattern(
        "OpenAI or Anthropic key",
        ("sk-",),
        False,
        _matches_of(r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]{0,64}[0-9])[\w-]{20,}"),
    ),
    # RFC 7616 and docs.aws.amazon.com, "Signature Version 4": many parameters, all to the end of the line.
    Pattern(
        "Authorization header with parameters",
        ("authorization",),
        True,
        _matches_of(
            r"((?<![A-Za-z0-9])authorization[\"'\\]*[ \t]*[:=][ \t]*[\"'\\]*)"
            r"(?:digest|aws4-hmac-sha256)[ \t][^\r\n]*",
            rf"\1{MASK}",
            flags=re.IGNORECASE,
        ),
    ),
    # RFC 6750, 2.1.
    Pattern(
        "bearer token",
        ("bearer",),
        True,
        _matches_of(r"(\bbearer[ \t]+)[A-Za-z0-9._~+/-]{16,}=*", rf"\1{MASK}", flags=re.IGNORECASE),
    ),
    # RFC 6265, 4.1.1 and 4.2.1; several cookies, all to the end of the line or the quoted text.
    Pattern(
        "cookies",
        ("cookie",),
        True,
        _matches_of(
            r"((?<![A-Za-z0-9])(?:set-)?cookie[\"'\\]{0,8}[ \t]{0,4}:[ \t]{0,4}[\"'\\]{0,8})"
            r"[\w!#$%&*+.^`|~-]+=[^\r\n\"'\\]*",
            rf"\1{MASK}",
            flags=re.IGNORECASE,
        ),
    ),
    # Connection strings: Uid=sa;Pwd=... Alone it is a directory.
    Pattern(
        "password beside its user",
        ("pwd",),
        True,
        _matches_of(
            r"((?<![A-Za-z0-9])(?:uid|user(?:[ _]?(?:id|name))?|login)[ \t]{0,4}[=:][ \t]{0,4}"
            r"[^\s;,=:\"'\\]{1,128}"
            r"[ \t]{0,4}[;, \t][ \t]{0,4}pwd[ \t]{0,4}[=:][ \t]{0,4})(?![/~.$%]|[a-z]:[\\/])[^\s;,\"'\\]+",
            rf"\1{MASK}",
            flags=re.IGNORECASE,
        ),
    ),
    # dev.mysql.com/doc, "Command Options for Connecting to the Server": nothing between -p and the password.
    Pattern(
        "password of a MySQL command",
        ("mysql", "mariadb"),
        False,
        _matches_of(
            r"((?<![\w.-])(?:mysql|mariadb)(?:dump|admin|import|show|check|-dump|-admin)?"
            r"[ \t](?:[^\n|;&]{0,400}?[ \t])?-p)(?:'[^'\n]+'|\"[^\"\n]+\"|[^\s\"'\\]+)",
            rf"\1{MASK}",
        ),
    ),
    # <password>...</password>
    Pattern("XML element", _KEY_NEEDLES, True, _mask_elements),
    # password: str = "..."; before what follows, which would take the type for the value.
    Pattern(
        "named value with a type",
        _KEY_NEEDLES,
        True,
        _values_of(
            r"(?<![\w.-])(?P<name>[\w.-]++)[ \t]{0,4}:[ \t]{0,4}[A-Za-z_][\w.|\[\], ]{0,60}?=[ \t]{0,4}"
            r"(?=[bBuUrRfF]{0,2}\\*[\"'])"
        ),
    ),
    # password=..., "api_key": "...", Authorization: Bearer ...; keys as `keys` has them.
    Pattern(
        "named value",
        _KEY_NEEDLES,
        True,
        _values_of(
            r"(?<![\w.-])(?P<name>(?:(?:api|access|private|secret|signing|encryption)[ ])?[\w.-]++)"
            r"\\*[\"']?[ \t]*(?:=>|:=|[:=])[ \t]*"
        ),
    ),
    # --token abc
    Pattern(
        "option with a value",
        _KEY_NEEDLES,
        True,
        _values_of(r"(?<![\w.-])(?P<name>--?[A-Za-z][\w-]*+)[ \t]+(?!--?[A-Za-z])"),
    ),
)


def may_hold_secret(text: str) -> bool:
    """Say whether a text holds a needle of any pattern. Where it does not, `mask_text` changes nothing."""
    folded = text.lower()
    # It is asked of every line, so few searches must do: for what needles share, or for one rare letter.
    return (
        ("k" in folded and ("key" in folded or "token" in folded or "cookie" in folded))
        or ("cre" in folded and ("secret" in folded or "credential" in folded))
        or ("w" in folded and "pwd" in folded)
        or (
            "pass" in folded
            and ("passw" in folded or "ssphr" in folded or compiled(_ONES_OWN).search(folded) is not None)
        )
        or ("z" in folded and "authorization" in folded)
        or "beare" in folded
        or "@" in text
        or "mariadb" in text
        or ("q" in text and "mysql" in text)
        or ("J" in text and "eyJ" in text)
        or ("A" in text and ("AKIA" in text or "ASIA" in text or "AIza" in text or "PRIVATE KEY" in text))
        or ("_" in text and _may_hold_snake(text))
        or ("-" in text and _may_hold_kebab(text))
        or ("x" in text and ("xox" in text or "xapp-" in text))
    )


def _may_hold_snake(text: str) -> bool:
    return (
        "k_live_" in text
        or "k_test_" in text
        or "_pat_" in text
        or ("gh" in text and any(needle in text for needle in _GITHUB))
    )


def _may_hold_kebab(text: str) -> bool:
    return ("gl" in text and any(needle in text for needle in _GITLAB)) or (
        # Ids such as task-17 are everywhere.
        "sk-" in text and compiled(_SK).search(text) is not None
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
            text = pattern.mask(text)
    return text
