"""What a text names: files, modules, and what only looks so."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightlogd.planning.files import FILES_LIMIT, names_in


@pytest.mark.covers("S4.3")
@pytest.mark.parametrize(
    ("text", "files"),
    [
        ('Update `src/auth/login.py`, "README.md" and the Makefile.', "Makefile README.md src/auth/login.py"),
        ("Edit src/a.py. Then src/b.py! (src/c.py) [d.py](src/d.py) **src/e.py**",
         "d.py src/a.py src/b.py src/c.py src/d.py src/e.py"),
        ("src/a.py:12:7 tests/test_a.py::test_b docs/a.md#part --config=conf/app.toml",
         "conf/app.toml docs/a.md src/a.py tests/test_a.py"),
        ("“src/a.py” \u2018src/b.py\u2019 don't touch 'lib/x.rb'", "lib/x.rb src/a.py src/b.py"),
        ("./src/a.py src//a.py src/x/../a.py ../b.py src\\c.cs", "../b.py src/a.py src/c.cs"),
        ("src/App.tsx src/app.tsx docs/Überblick.md", "docs/Überblick.md src/App.tsx src/app.tsx"),
        ("app/[id]/page.tsx app/(auth)/login/page.tsx open(src/a.py)",
         "app/(auth)/login/page.tsx app/[id]/page.tsx src/a.py"),
        (".github/workflows/ci.yml .gitignore config/.env Dockerfile bin/deploy",
         ".github/workflows/ci.yml .gitignore Dockerfile bin/deploy config/.env"),
        ("auth/utils.py and billing/utils.py", "auth/utils.py billing/utils.py"),
        ("package.json app.js App.js data/model.weights", "App.js app.js data/model.weights package.json"),
    ],
)  # fmt: skip
def test_files(text: str, files: str) -> None:
    """Paths and names of files are found in quotes, back-ticks and prose, normalised, their case kept."""
    assert names_in(text).files == files.split()


@pytest.mark.covers("S4.3")
@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/src/a.py http://x.org/a,b/c.py HTTPS://X.ORG/a.py"
        " git+ssh://h/x.py"
        " `http://x.y/a.py`",
        "example.org/a/b.py www.example.test/a.py github.com/org/repo.git mail "
        "a@example.org/x.py me@example.org",
        "Node.js, `Vue.js`, next.js; Node.js/Express.js and D3.js",
        "and/or TCP/IP read/write client/server 24/7 s/he I/O application/json origin/main",
        "v1.2.3 1.0/2.0 2.0/3.1.rc1 10.0.0.1/24 2024/05/10 3.11",
        "e.g. i.e. etc. a.m./p.m. U.S./U.K. D.C/x.C his/her.Then",
        "response.json() os.path self.name src/*.py {a,b}.py ... .../a.py .py /.. //",
        "a\x00/b.py \x1f \ud800",
        "",
    ],
)  # fmt: skip
def test_no_files(text: str) -> None:
    """URLs, hosts, products, words with slashes, versions, abbreviations, calls and patterns are no files."""
    assert names_in(text).files == []


@pytest.mark.covers("S4.3")
@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("the auth module and Module billing, `user-store` service", "auth billing user-store"),
        ("look through src/auth/ and tests/unit", "src/auth tests/unit"),
        ("add a new module for the module; this package is a service", ""),
        ("read/write client/server", ""),
    ],
)
def test_modules(text: str, modules: str) -> None:
    """A module is a name beside a word for one, or a directory; articles and the like are none."""
    assert names_in(text).modules == modules.split()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text() | st.text("ab./\\`'\"()[]:{}* \n", max_size=60))
def test_any_text(text: str) -> None:
    """No text fails; what is found is sorted, normalised, and made of letters of the text."""
    named = names_in(text)

    assert named.files == sorted(set(named.files))
    for path in named.files:
        assert "//" not in path
        assert not path.endswith(("/", "."))
        assert set(path) <= set(text) | {"/"}
        assert names_in(f"`{path}`").files == [path]


@pytest.mark.parametrize(
    "piece", ["a", "(", "a/", "`", "a.b", "a.", "[]", "\\", "://", "](", "a-", "src/a.py ", "module "]
)
def test_huge_text(piece: str) -> None:
    """A megabyte of anything is looked through at once, where a square of its length would take minutes."""
    assert len(names_in(piece * (1_000_000 // len(piece))).files) <= 1


def test_very_many_files() -> None:
    """Who names thousands of files is taken to name the first of them."""
    assert len(names_in(" ".join(f"src/f{number}.py" for number in range(5_000))).files) == FILES_LIMIT
