"""A plugin of pytest: `pytest --flightlog` records a session as an execution, its tests as tasks.

- `session`: the session, told by the process that leads it, also where pytest-xdist runs tests elsewhere
- `attempt`: one run of one test, from what pytest reports of it
- `inside`: where tests run: what they log finds its test, and what they fail of is described

Nothing but the options is here until they are used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

WORKER_INPUT = "flightlog_execution_id"
"""Under what a worker of pytest-xdist is told the execution."""


def pytest_addoption(parser: "pytest.Parser") -> None:
    """Add the options (called by pytest)."""
    group = parser.getgroup("flightlog")
    group.addoption("--flightlog", action="store_true", help="record this session with flightlog")
    group.addoption(
        "--flightlog-name",
        metavar="NAME",
        help="with --flightlog: what the execution is called (default: the name of the root directory)",
    )


def pytest_configure(config: "pytest.Config") -> None:
    """Record what follows, where that is asked for (called by pytest)."""
    if not config.getoption("--flightlog") or config.getoption("collectonly"):
        return
    from flightlog.client import Client
    from flightlog.paths import runtime_dir, spool_dir
    from flightlog.pytest.inside import Inside
    from flightlog.pytest.session import Session

    # Asked now: tests may change the environment, and what they set is meant for what they test.
    client = Client(runtime_dir(), spool=spool_dir() or False)
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is None:
        session = Session(client, config)
        config.pluginmanager.register(session, "flightlog-session")
        execution_id = session.execution_id
    else:
        execution_id = worker_input[WORKER_INPUT]
    config.pluginmanager.register(Inside(client, execution_id), "flightlog-inside")
