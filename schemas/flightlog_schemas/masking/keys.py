"""Which names call a value secret. Whole words decide: `password`, but not `keyboard`.

| secret | not secret |
|---|---|
| `password` `db_password` `passwordHash` `PGPASSWORD` `mysql_pwd` | `passed` `pwd` (a directory) |
| `token` `x-auth-token` `accessTokens` | `tokens` `input_tokens` `max_token` `token_count` `tokenizer` |
| `apiKey` `API_KEY` `x-api-key` `private.key` `secret_access_key` | `key` `monkey` `keyboard` `public_key` |
| `client_secret` `Authorization` `aws_credentials` | `secretary` `password_length` `credentials_file` |
| `DB_PASS` `smtpPass` `user.pass` | `pass` `first_pass` `tests_pass` `db_passed` |
"""

from functools import lru_cache
from typing import Final

from flightlog_schemas.regex import compiled

_WORD: Final = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+"

_NEEDLES: Final = ("key", "token", "secret", "pass", "pwd", "credential", "authorization")
"""One of these is in every name that calls something secret, and in few others."""

_SECRET: Final = frozenset(
    {
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "authorization",
        "credential",
        "credentials",
        "apikey",
        "privatekey",
        "accesskey",
        "secretkey",
        "authtoken",
        "accesstoken",
        "refreshtoken",
    }
)
_SECRET_ENDS: Final = ("password", "passwd", "passphrase")
"""Of words run together, such as PGPASSWORD."""

_KEY_KINDS: Final = frozenset({"api", "private", "access", "secret", "signing", "encryption"})
_TOKENS_KINDS: Final = frozenset({"access", "api", "auth", "bearer", "refresh", "session"})
"""Before `tokens`, which alone are what a language model counts."""

PASS_OF: Final = (
    *("db", "database", "user", "mysql", "postgres", "pg", "mongo", "redis", "smtp", "imap", "mail", "ftp"),
    *("ssh", "admin", "root", "auth", "ldap", "proxy"),
)
"""Before `pass`, which alone is what tests do."""

_AMOUNTS: Final = frozenset({"max", "min", "num", "total", "per", "n"})
"""Before `token`, for the same reason."""

_ABOUT: Final = frozenset(
    {
        *("count", "counts", "limit", "budget", "usage", "length", "len", "size", "type", "types", "ids"),
        *("name", "url", "uri", "endpoint", "file", "path", "dir", "ttl", "expiry", "expires", "policy"),
        *("enabled", "required"),
    }
)
"""Last words of names that tell something about a secret, and not the secret."""

_NAME_LIMIT_CHARS: Final = 128
"""Of a longer name only the end is looked at."""


def is_secret_key(name: str) -> bool:
    """Say whether what goes by this name is secret, in camel, snake, kebab or any other case."""
    return _is_secret(name[-_NAME_LIMIT_CHARS:])


@lru_cache(4096)
def _is_secret(name: str) -> bool:
    folded = name.lower()
    if not any(needle in folded for needle in _NEEDLES):
        return False
    words = [word.lower() for word in compiled(_WORD).findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    before = ""
    for word in words:
        if (
            word in _SECRET
            or word.endswith(_SECRET_ENDS)
            or (word == "token" and before not in _AMOUNTS)
            or (word == "tokens" and before in _TOKENS_KINDS)
            or (word in ("key", "keys") and before in _KEY_KINDS)
            or (word == "pwd" and before not in ("", "old"))
        ):
            return True
        before = word
    return words[-1] == "pass" and len(words) > 1 and words[-2] in PASS_OF
