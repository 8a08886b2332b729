"""Who may import whom."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.source import PACKAGES, imports_of, modules_of, shown

SCHEMAS, CLIENT, DAEMON = PACKAGES["flightlog_schemas"], PACKAGES["flightlog"], PACKAGES["flightlogd"]

BASE = frozenset(sys.stdlib_module_names) | {"msgspec", "flightlog_schemas"}
"""What may be imported with nothing but the base install."""

BLOCKED = (
    "flightlogd", "trio", "apsw", "structlog", "re2", "click", "rich", "mcp", "mcp_types", "anyio",
    "litestar", "hypercorn", "pytest", "pluggy", "opentelemetry", "google",
    "nats", "pyarrow",
)  # fmt: skip

NEEDS_EXTRAS = (
    "flightlog.cli",
    "flightlog.mcp.server",
    "flightlog.web",
    "flightlog.fleet",
    "flightlog.otel",
    "flightlog.otlp.otlp_protobuf",
    "flightlog.pytest.",
)
"""Where the client may import more; a plugin has what it is plugged into."""

MAY_IMPORT_MORE = tuple(f"client/{name.replace('.', '/')}" for name in NEEDS_EXTRAS)
"""The same as beginnings of paths."""

NOT_FOR_A_LOG = (
    "flightlog.adoption", "flightlog.agents", "flightlog.append", "flightlog.capture", "flightlog.decorator",
    "flightlog.files", "flightlog.link", "flightlog.query", "flightlog.retries", "flightlog.sender",
    "flightlog.tasks", "flightlog_schemas.answers", "flightlog_schemas.codec",
    "flightlog_schemas.events.registry", "flightlog_schemas.events.task", "flightlog_schemas.wire",
    "asyncio", "base64", "dataclasses", "hashlib", "inspect", "json", "logging", "pathlib", "selectors",
    "shutil", "socket", "subprocess", "tempfile", "traceback", "urllib",
)  # fmt: skip
"""What importing flightlog must not import: it takes long, and a program that only logs does without, or
needs it at its first event."""

IMPORT_LITTLE = """
import re, sys
import msgspec
before = set(sys.modules)
def compile(*_):
    raise AssertionError("a pattern is compiled before it is needed")
re.compile = compile
import flightlog
print(*sorted(set(sys.modules) - before))
"""

IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is not in the base install")

sys.meta_path.insert(0, Blocker())
import {package}
for module in pkgutil.walk_packages({package}.__path__, "{package}."):
    if not module.name.startswith({extras!r}) and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def strangers(folder: Path, allowed: frozenset[str], skip: str = "") -> list[str]:
    """Return each import in a folder whose first word is not allowed."""
    return [
        f"{shown(file, line)} imports {module}"
        for file in modules_of(folder)
        if not (skip and file.is_relative_to(folder / skip))
        for module, line in imports_of(file)
        if module.partition(".")[0] not in allowed
    ]


def test_schemas_import_msgspec_and_nothing_of_ours() -> None:
    """The schemas import the standard library, msgspec and themselves."""
    assert strangers(SCHEMAS, BASE) == []


def test_client_never_imports_the_daemon() -> None:
    """The client and its command line import nothing of the daemon; the web server has trio, too."""
    allowed = BASE | {
        "flightlog", "click", "rich", "mcp", "mcp_types", "anyio", "pytest", "pluggy", "pyarrow",
        "opentelemetry", "google", "nats",
    }  # fmt: skip

    assert strangers(CLIENT, allowed, skip="web") == []
    assert strangers(CLIENT / "web", BASE | {"flightlog", "trio", "litestar", "hypercorn"}) == []


def test_emitting_needs_msgspec_alone() -> None:
    """The client but for what needs an extra imports the standard library, msgspec and ours."""
    found = strangers(CLIENT, BASE | {"flightlog"}, skip="cli")

    assert [
        place for place in found if "__main__.py" not in place and not place.startswith(MAY_IMPORT_MORE)
    ] == []


def test_daemon_never_imports_the_client() -> None:
    """The daemon imports nothing of the client or of its libraries."""
    assert (
        strangers(
            DAEMON, BASE | {"flightlogd", "trio", "apsw", "structlog", "re2", "backports", "compression"}
        )
        == []
    )


@pytest.mark.parametrize("package", ["flightlog_schemas", "flightlog"])
def test_base_install_can_import_everything(package: str) -> None:
    """All modules but those that need an extra import where only msgspec is installed."""
    code = IMPORT_ALL.format(package=package, blocked=BLOCKED, extras=NEEDS_EXTRAS)

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_importing_flightlog_is_cheap() -> None:
    """Importing flightlog loads nothing that a log does without, and compiles no pattern."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_LITTLE], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "flightlog.client" in done.stdout.split()
    assert set(NOT_FOR_A_LOG) & set(done.stdout.split()) == set()


def test_what_is_imported_late_is_there() -> None:
    """Every public name can be had, also those that are imported when they are asked for."""
    code = "from flightlog import *; import flightlog; print(*(set(flightlog.__all__) - set(dir())))"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
