"""What looks secret in a text, and what is called secret. Pure."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.masking import MASK, is_secret_key, mask_text, may_hold_secret
from flightlog_schemas.masking.patterns import PATTERNS

WORDS = re.compile(r"\S+")

SECRET_NAMES = WORDS.findall("""
    secret password passwd token api_key authorization credential private_key apiKey API_KEY x-api-key APIKey
    db_password dbPassword passwordHash PGPASSWORD MYSQL_PWD client_secret clientSecret accessToken
    AccessTokens
    X-Auth-Token Proxy-Authorization aws_secret_access_key AWS_SECRET_ACCESS_KEY private.key credentials
    GITHUB_TOKEN db.password ssh-passphrase signing_key refreshToken secrets
    DB_PASS smtpPass user.pass MYSQL_ROOT_PASS redis-pass
""")

PLAIN_NAMES = WORDS.findall("""
    monkey keyboard token_count tokens input_tokens max_tokens max_token tokenizer tokenCount output-tokens
    key keys public_key secretary passed bypass PWD OLDPWD pwd author authority monkeyKey password_length
    credentials_file GOOGLE_APPLICATION_CREDENTIALS_PATH tokenUsage turkey
    pass first_pass tests_pass db_passed compass cookie
""")

PARTS = st.sampled_from(
    [
        *("password=", "token: ", "--token ", '"api_key": "', "Authorization: ", "Bearer ", "Digest ", "'"),
        *('"', '\\"', "hunter2", "AKIAABCDEFGHIJKLMNOP", "sk-abcdefghij0123456789", " ", "\n", ",", "=", ":"),
        *(
            "://",
            "user:",
            "@host",
            "&",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            MASK,
            "*",
        ),
        *("DB_PASS=", "Cookie: a=b; c", "Uid=sa;Pwd=", "mysql -uann -p", "<password>", "</password>"),
        *(
            "password: str = ",
            "set-cookie:",
            "user=ann pwd: ",
            " -p",
            "mariadb-dump ",
            "<x:secret a='b'>",
            "</",
        ),
        *("eyJhbGciOiJI.eyJzdWIi.c2ln", "ghp_", "0123456789abcdefghijABCDEF", "\\", ")", "{", "null", "é"),
    ]
)


@pytest.mark.covers("S1.12")
@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_call_a_value_secret(name: str) -> None:
    """A key is secret by its whole words, in camel, snake and kebab case."""
    assert is_secret_key(name)


@pytest.mark.covers("S1.12")
@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_that_only_resemble_one(name: str) -> None:
    """A key that only contains the letters, counts tokens or tells something about a secret is not secret."""
    assert not is_secret_key(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2, user=ann", f"password={MASK}, user=ann"),
        ("password=hun,ter2", f"password={MASK}"),
        ("PGPASSWORD='two words' psql", f"PGPASSWORD='{MASK}' psql"),
        ("login --token abc --db x", f"login --token {MASK} --db x"),
        ("login --token=abc", f"login --token={MASK}"),
        ("Authorization: Bearer abc.def", f"Authorization: {MASK}"),
        ('curl -H "Authorization: Basic YTpi" http://h/', f'curl -H "Authorization: {MASK}" http://h/'),
        ('Authorization: Digest username="u", response="r"', f"Authorization: {MASK}"),
        ("sent Bearer abcdefghijklmnopqrst==", f"sent Bearer {MASK}"),
        ('{"api_key": "a\\"b", "n": 1}', f'{{"api_key": "{MASK}", "n": 1}}'),
        ('{\\"password\\":\\"a b\\",\\"n\\":1}', f'{{\\"password\\":\\"{MASK}\\",\\"n\\":1}}'),
        ('cut short {"api_key": "abc', f'cut short {{"api_key": "{MASK}"'),
        ("GET /?api_key=abc&page=2", f"GET /?api_key={MASK}&page=2"),
        ("the API key: abc", f"the API key: {MASK}"),
        ("postgres://ann:p@ss@db/x", f"postgres://ann:{MASK}@db/x"),
        ('{"cmd": "db --password=abc", "n": 1}', f'{{"cmd": "db --password={MASK}", "n": 1}}'),
        ("a=token=abc", f"a=token={MASK}"),
        ("redis://:pass@db", f"redis://:{MASK}@db"),
        ("id AKIAABCDEFGHIJKLMNOP", f"id {MASK}"),
        ("push ghp_0123456789abcdefghijABCDEF0123456789", f"push {MASK}"),
        ("github_pat_11ABCDEFG0123456789_abcdefghij", MASK),
        ("use glpat-0123456789abcdefghij", f"use {MASK}"),
        ("xoxb-0123456789-abcdefghij", MASK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", MASK),
        ("AIza" + "a1_-b" * 7, MASK),
        ("sk_live_0123456789abcdef", MASK),
        ("sk-ant-api03-abcdefghijklmnop", MASK),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", f"a {MASK} b"),
        ("-----BEGIN PRIVATE KEY-----\\nMII cut", MASK),
        ("DB_PASS=abc make", f"DB_PASS={MASK} make"),
        ("Server=db;Uid=sa;Pwd=abc;Port=1", f"Server=db;Uid=sa;Pwd={MASK};Port=1"),
        ("user: ann, pwd: abc", f"user: ann, pwd: {MASK}"),
        ("Cookie: session=abc; theme=dark", f"Cookie: {MASK}"),
        ("curl -H 'Cookie: a=b' http://h/", f"curl -H 'Cookie: {MASK}' http://h/"),
        ('{"Set-Cookie": "sid=abc; Path=/", "n": 1}', f'{{"Set-Cookie": "{MASK}", "n": 1}}'),
        ("mysql -u root -pabc db", f"mysql -u root -p{MASK} db"),
        ("mysqldump -p'a b' db > x", f"mysqldump -p{MASK} db > x"),
        ("<password>abc</password>", f"<password>{MASK}</password>"),
        ('<db:apiKey kind="x">abc</db:apiKey>', f'<db:apiKey kind="x">{MASK}</db:apiKey>'),
        ("password: str = 'abc'", f"password: {MASK} = '{MASK}'"),
    ],
)
def test_what_looks_secret(text: str, masked: str) -> None:
    """Named values, options, headers, URLs, private keys and well-known tokens are masked within a text."""
    assert mask_text(text) == masked
    assert mask_text(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=5 max_tokens: 7 token_count=9",
        "a monkey at the keyboard: key=value",
        "password: null, token=None, secret=''",
        "the password is wrong",
        "task-learn-contrib-something-0123456789-long",
        "mail ann@example.com about http://host:80/path",
        "passed: 12, failed: 0",
        "pass: 12, first_pass=3, tests_pass: yes, bypass=on",
        "user=ann pwd=/home/ann ls",
        "pwd: build, then PWD=/srv",
        "the cookie: chocolate; cookies: 3, Cookie: none",
        "mysql -u root -p db -P3306",
        "mkdir -p/srv && cp -pr a b, and mysql after",
        "<token>the</token><pass>12</pass><password></password><password/>",
        "a < b and b > c, password < 8 characters",
    ],
)
def test_what_looks_harmless(text: str) -> None:
    """Counts of tokens, prose, and values that say that there is none stay as they are."""
    assert mask_text(text) == text


@settings(deadline=None)
@given(st.lists(PARTS, max_size=12).map("".join))
def test_masking_is_idempotent(text: str) -> None:
    """Masking a text twice is masking it once."""
    masked = mask_text(text)
    assert mask_text(masked) == masked


@settings(deadline=None)
@given(st.lists(PARTS | st.text(max_size=5), max_size=12).map("".join))
def test_nothing_is_found_past_the_first_look(text: str) -> None:
    """A text that holds no needle holds nothing that a pattern finds."""
    if not may_hold_secret(text):
        assert not any(pattern.mask(text) != text for pattern in PATTERNS)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_every_needle_is_looked_for(pattern: object) -> None:
    """The first look knows the needles of all patterns."""
    assert all(may_hold_secret(f"x {needle} y") for needle in pattern.needles)  # type: ignore[attr-defined]


@pytest.mark.covers("S1.12")
@pytest.mark.parametrize(
    "text",
    [
        "{'password': b'ByteSecret1'}",
        "password=u'ByteSecret1'",
        "password=$'ByteSecret1'",
        "Credentials(password=SecretStr('ByteSecret1'))",
        'token = """ByteSecret1"""',
    ],
)
def test_a_value_within_what_wraps_it(text: str) -> None:
    """Of a value with a prefix, or that something wraps, the value goes and not the wrapping."""
    masked = mask_text(text)
    assert "ByteSecret1" not in masked
    assert MASK in masked
    assert mask_text(masked) == masked
