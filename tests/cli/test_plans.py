"""Plans on the command line: declared, built, watched, changed, carried out and compared."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.slow

TASKS = {
    "tasks": [
        {"task_id": "schema", "description": "write `db/schema.sql`", "epic": "store", "priority": 1},
        {"task_id": "seed", "description": "fill `db/schema.sql`", "epic": "store"},
        {"task_id": "ui", "description": "write `src/ui.ts`", "epic": "web"},
        {"task_id": "docs", "description": "write `docs/api.md`"},
        {"task_id": "api", "depends_on": ["schema", {"task_id": "docs", "kind": "soft"}], "epic": "web"},
    ],
    "epics": [{"epic": "store"}, {"epic": "web"}],
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give the root of a project with a file of tasks."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / ".git").mkdir()
    (root / "tasks.json").write_text(json.dumps(TASKS))
    return root


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def built(flightlog: Cli, shop: Path) -> str:
    """Build the plan of the project from its file; return its id."""
    return flightlog.ok("plan", "build", "--tasks", "tasks.json", cwd=shop).out.strip()


def batches(told: dict[str, Any]) -> list[list[str]]:
    """Return the tasks of each batch of a plan."""
    return [batch["task_ids"] for batch in told["plan"]["batches"]]


@pytest.mark.covers("S4.1", "S4.6", "S4.8")
def test_a_plan_from_declaration_to_comparison(daemon: Daemon, shop: Path) -> None:
    """Tasks are declared, planned while somebody watches, moved, run, and compared with the plan."""
    flightlog = Cli(daemon.runtime_dir)
    with flightlog.running("tail", "--type", "plan.", "--after", "0", "-o", "json") as watching:
        plan_id = built(flightlog, shop)
        types = [json.loads(watching.line())["event"]["type"] for _ in range(4)]
        assert types == ["plan.epic_declared", "plan.epic_declared", "plan.requested", "plan.built"]
        flightlog.ok("plan", "edit", "--move", "docs=2", cwd=shop)
        assert json.loads(watching.line())["event"]["type"] == "plan.adjusted"
    told = flightlog.ok("plan", "show", "--json", cwd=shop).json
    assert (told["schema_version"], told["plan_id"]) == (1, plan_id)
    assert batches(told) == [["schema", "ui"], ["seed", "docs"], ["api"]]
    assert told["plan"]["created_at"].endswith("Z")

    execution = flightlog.ok("start", "--name", "carry out", cwd=shop).out.strip()
    lines = []
    for batch in batches(told):
        for name in batch:
            lines.append({"type": "task.started", "execution_id": execution, "task_id": name})
            lines.append(lines[-1] | {"type": "task.ended", "outcome": "succeeded"})
    flightlog.ok("emit", "-", stdin="\n".join(map(json.dumps, lines)).encode())
    for path, name in (("db/schema.sql", "schema"), ("src/ui.ts", "ui"), ("src/ui.ts", "docs")):
        flightlog.ok("artifact", "add", execution, path, "--task", name, cwd=shop)
    actual = flightlog.ok("plan", "show", "--actual", cwd=shop)

    facts, _, files = actual.out.partition("\n\n")
    assert ["finished", "5 of 5 tasks"] in [line.split("\t") for line in facts.splitlines()]
    assert [line.split("\t") for line in files.splitlines()] == [
        ["db/schema.sql", "schema seed", "schema"],
        ["docs/api.md", "docs", "-"],
        ["src/ui.ts", "ui", "docs ui"],
    ]
    # All that was declared is finished: there is nothing left to plan.
    flightlog.ok("plan", "build", cwd=shop)
    again = flightlog.ok("plan", "show", "--json", cwd=shop).json
    assert batches(again) == []
    assert again["plan"]["metadata"]["finished_tasks"] == 5
    listed = flightlog.ok("plan", "list", cwd=shop).rows
    assert [row[0] for row in listed] == [again["plan_id"], plan_id]
    assert [row[2:7] for row in listed] == [["0", "0", "0", "0", "0"], ["5", "3", "1", "2", "1"]]
    assert [told["project_id"], "1", "1", "5", "2", str(shop)] in flightlog.ok("plan", "projects").rows


@pytest.mark.covers("S4.1")
def test_tasks_are_declared_one_by_one(flightlog: Cli, shop: Path) -> None:
    """Options of `task declare` and `plan epic` say what a file does; the last declaration counts."""
    flightlog.ok("task", "declare", "b", "--description", "old", cwd=shop)
    flightlog.ok("task", "declare", "a", "--epic", "x", "--priority", "3", "--action", "write", cwd=shop)
    flightlog.ok("task", "declare", "b", "--depends-on", "a", "--soft", "zz", cwd=shop)
    flightlog.ok("plan", "epic", "x", "--name", "The X", cwd=shop)
    told = flightlog.ok("plan", "build", "--max-worktrees", "1", "--json", cwd=shop).json

    assert batches(told) == [["a"], ["b"]]
    assert told["plan"]["metadata"]["missing"] == [{"task_id": "b", "depends_on": "zz"}]
    assert told["plan"]["metadata"]["max_worktrees"] == 1
    assert flightlog.ok("plan", "show", cwd=shop).rows == [
        ["1", "a", "x", "worktree-batch1-epicx", "-", "-", "-"],
        ["2", "b", "-", "worktree-batch2-epicnone", "a", "-", "-"],
    ]
    request = flightlog.ok("plan", "build", "--no-wait", cwd=shop).out.strip()
    assert re.fullmatch("[0-9a-f]{32}", request)


@pytest.mark.covers("S4.6")
def test_what_cannot_be_declared_or_found_is_said(flightlog: Cli, shop: Path, alone: Cli) -> None:
    """A bad file names the place (3), an unknown project says what to do (1), no daemon is a failure (2)."""
    for text, place in (
        ('[{"task_id": "a"}, {"task_id": "b", "priority": 1000}]', "tasks[1]: "),
        ('{"tasks": [{"task_id": "a", "depend": []}]}', "tasks[0]: "),
        ('{"task_id": "a"}\n{"task_id": ', "line 2"),
        ('[{"task_id": "a"}, {"task_id": "a"}]', "a is declared twice"),
        ("[]", "nothing to declare"),
        ('"a"', "expected a list"),
    ):
        refused = flightlog("plan", "build", "--tasks", "-", stdin=text.encode(), cwd=shop)
        assert (refused.code, refused.out) == (3, ""), text
        assert place in refused.err
    unknown = flightlog("plan", "show", cwd=shop)
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith(f"flightlog plan show: no such project: {shop}\nhint: ")
    flightlog.ok("task", "declare", "a", cwd=shop)
    none = flightlog("plan", "show", cwd=shop)
    assert none.code == 1
    assert none.err.endswith(f"{shop} has no plan\nhint: flightlog plan build --project {shop}\n")
    assert flightlog("plan", "show", "nothing").code == 1
    for wrong in (
        ("plan", "build", "--max-worktrees", "0"),
        ("plan", "show", "--graph", "--mermaid"),
        ("plan", "edit", "--move", "a"),
        ("plan", "edit", "--parallel", "1", "--serial", "1"),
        ("task", "declare"),
        ("task", "declare", "a", "--file", "tasks.json"),
        ("task", "declare", "a b"),
    ):
        assert flightlog(*wrong, cwd=shop).code == 3, wrong
    away = alone("plan", "build", cwd=shop)
    assert away.code == 2


@pytest.mark.covers("S4.6")
def test_a_plan_is_changed_by_options(flightlog: Cli, shop: Path) -> None:
    """Tasks move between batches and worktrees; what would break a dependency changes nothing."""
    built(flightlog, shop)

    moved = flightlog.ok(
        "plan", "edit", "--move", "docs=3", "--worktree", "mine=ui", "--serial", "1", "--json", cwd=shop
    )

    assert batches(moved.json) == [["schema", "ui"], ["seed"], ["api", "docs"]]
    assert "mine" in [one["worktree"] for one in moved.json["plan"]["worktree_assignments"]]
    assert not moved.json["plan"]["batches"][0]["can_parallel"]
    before = flightlog.ok("plan", "show", "--json", cwd=shop).json
    for options, code, reason in (
        (("--move", "api=1"), 1, "depends on schema"),
        (("--move", "docs=1", "--move", "docs=2"), 3, "docs is moved twice"),
        (("--move", "zz=1"), 3, "no such task in this plan: zz"),
        (("--move", "ui=9"), 3, "no such batch in this plan: 9; it has 1 to"),
        (("--worktree", "a b=ui"), 1, "a b"),
        (("--worktree", "w=zz"), 3, "no such task in this plan: zz"),
        (("--parallel", "9"), 3, "no such batch"),
    ):
        refused = flightlog("plan", "edit", *options, cwd=shop)
        assert (refused.code, refused.out) == (code, ""), refused
        assert reason in refused.err
    assert len(flightlog("plan", "edit", "--move", f"{'x' * 5000}=1", cwd=shop).err) < 500
    assert len(flightlog("plan", "show", "x" * 5000, cwd=shop).err) < 500
    assert flightlog.ok("plan", "show", "--json", cwd=shop).json == before


def editor(shop: Path, code: str) -> str:
    """Return an editor that does something with the text of a plan: `text` in, `text` out."""
    script = shop / "editor.py"
    script.write_text(
        "import json, os, subprocess, sys\nfrom pathlib import Path\n"
        "file = Path(sys.argv[1])\ntext = file.read_text()\n"
        f"{code}\nfile.write_text(text)\n"
        # Told apart from no change by its time, which may be coarse.
        "os.utime(file, (1, 1))\n"
    )
    return f"{sys.executable} {script}"


@pytest.mark.covers("S4.6")
def test_a_plan_is_changed_in_an_editor(flightlog: Cli, shop: Path) -> None:
    """What is saved becomes the plan; what is wrong is told above the text, which is opened again."""
    built(flightlog, shop)
    twice = """
if "WRONG" in text:
    assert "in no batch: docs\\n# WRONG: no such task in this plan: dogs\\n" in text, text
    text = text.replace('"dogs", ', "").replace('"seed"', '"seed", "docs"', 1)
else:
    assert text.count('"docs"') == 2, text
    text = text.replace('"docs", ', '"dogs", ', 1)
"""

    changed = flightlog.ok("plan", "edit", "--json", cwd=shop, EDITOR=editor(shop, twice), VISUAL="")

    assert batches(changed.json) == [["schema", "ui"], ["seed", "docs"], ["api"]]
    for code, said in (
        ("text = text", "nothing was changed"),
        ("text = ''", "nothing was changed"),
        ("text = 'no JSON'", "given up on, a copy is in "),
    ):
        left = flightlog("plan", "edit", cwd=shop, EDITOR=editor(shop, code), VISUAL="", TMPDIR=str(shop))
        assert (left.code, left.out) == (1, ""), left
        assert said in left.err
    assert len(list(shop.glob("flightlog-plan-*.json"))) == 1
    failed = flightlog("plan", "edit", cwd=shop, EDITOR="false", VISUAL="")
    assert failed.code == 2
    nothing = flightlog("plan", "edit", cwd=shop, EDITOR="", VISUAL="")
    assert (nothing.code, "set EDITOR" in nothing.err) == (3, True)
    assert batches(flightlog.ok("plan", "show", "--json", cwd=shop).json) == batches(changed.json)


@pytest.mark.covers("S4.6")
def test_of_two_who_edit_at_once_one_wins(flightlog: Cli, shop: Path) -> None:
    """Who saves after somebody else changed the plan changes nothing, hears of it, and keeps the text."""
    built(flightlog, shop)
    meanwhile = """
subprocess.run([sys.executable, "-P", "-m", "flightlog", "plan", "edit", "--serial", "1"], check=True,
    stdout=subprocess.DEVNULL)
assert '"docs", "ui"' in text
text = text.replace('"docs", "ui"', '"ui", "docs"', 1)
"""

    late = flightlog("plan", "edit", cwd=shop, EDITOR=editor(shop, meanwhile), VISUAL="", TMPDIR=str(shop))

    assert (late.code, late.out) == (1, "")
    assert "has changed in the meantime" in late.err
    assert "a copy of the text is in " in late.err
    [serial, *_] = flightlog.ok("plan", "show", "--json", cwd=shop).json["plan"]["batches"]
    assert not serial["can_parallel"]


@pytest.mark.covers("S4.2", "S4.6")
def test_what_is_wrong_with_a_plan_is_said(flightlog: Cli, shop: Path) -> None:
    """What is left out, not declared or odd is a line on stderr beside the rows; of a sound plan none is."""
    assert flightlog.ok("plan", "build", "--tasks", "tasks.json", cwd=shop).err == ""
    flightlog.ok("plan", "epic", "ring", "--depends-on", "gnir", cwd=shop)
    flightlog.ok("plan", "epic", "gnir", "--depends-on", "ring", cwd=shop)
    flightlog.ok("task", "declare", "ine", "--epic", "ring", cwd=shop)
    flightlog.ok("task", "declare", "miss", "--soft", "alsonot", cwd=shop)

    told = flightlog.ok("plan", "build", cwd=shop)

    said = "6 tasks planned; 1 left out, in a cycle or waiting for one: ine; not declared: alsonot\n"
    assert told.err == f"flightlog plan build: {said}"
    shown = flightlog.ok("plan", "show", cwd=shop)
    assert (shown.err, len(shown.rows)) == (f"flightlog plan show: {said}", 6)
    seen = flightlog.on_terminal("plan", "show", "--project", str(shop), columns=100, NO_COLOR="1")
    assert "epics gnir → ring → gnir" in seen
    assert "ine → ine" not in seen
    assert "alsonot, which task miss names: nobody declared it, nothing waits for it" in seen
    empty = shop.parent / "nothing"
    empty.mkdir()
    none = flightlog.ok("plan", "build", "--project", str(empty))
    assert none.err == "flightlog plan build: the plan is empty: no tasks are declared\n"
    hasty = flightlog("plan", "build", "--timeout", "1us", cwd=shop)
    assert (hasty.code, "no plan within 1us" in hasty.err) == (1, True)


@pytest.mark.covers("S4.6")
def test_a_person_sees_a_plan(flightlog: Cli, shop: Path) -> None:
    """On a terminal a plan is an overview and a table, and a picture as wide as the terminal."""
    built(flightlog, shop)

    def seen(*options: str, columns: int) -> list[str]:
        text = flightlog.on_terminal(
            "plan", "show", "--project", str(shop), *options, columns=columns, NO_COLOR="1"
        )
        return text.splitlines()

    overview = "\n".join(seen(columns=100))
    assert "5 in 3 batches, 1 parallel" in overview
    assert "same file db/schema.sql: schema, seed" in overview
    assert "WORKTREE" in overview
    for columns in (80, 200):
        drawn = seen("--graph", columns=columns)
        assert max(map(len, drawn)) == columns
        assert any(line.startswith("│ ") and "schema !" in line for line in drawn)
    empty = shop.parent / "empty"
    empty.mkdir()
    nothing = flightlog("plan", "build", "--project", str(empty), "--json")
    assert nothing.json["plan"]["metadata"]["reason"]
    told = flightlog("plan", "show", "--project", str(empty), "--graph")
    assert (told.code, told.out) == (0, "")
    assert "the plan is empty: " in told.err
