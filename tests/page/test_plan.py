"""The plan of a project on the page: the graph, what collides, what is new."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from flightlog_schemas.projects import project_id_of
from page.scene import declared, tasks
from support.lines import event
from support.web import Web

Tab = Callable[..., Page]
Tell = Callable[..., None]


@pytest.mark.covers("P17")
def test_a_plan_is_a_graph(site: Web, tab: Tab, tell: Tell) -> None:
    """Batches, dependencies, conflicts and what was left out show; the list of projects leads there."""
    tell(*tasks("/src/graph"), event("plan.requested", project="/src/graph"))
    page = tab(site, "#/plans")
    page.get_by_role("link", name="graph", exact=True).click()
    expect(page.locator("h1")).to_have_text("Plan of graph")
    graph = page.locator(".graph")
    for text in ("Batch 1", "schema", "queue", "worker", "docs"):
        expect(graph).to_contain_text(text)
    expect(graph.locator("path.dependency")).not_to_have_count(0)
    expect(graph.locator("path.same_file")).to_have_count(1)
    expect(page.get_by_label("Warnings")).to_contain_text("a, b")
    expect(page.get_by_role("region", name="Predicted conflicts")).to_contain_text("scheduler/queue.py")
    expect(page.get_by_role("region", name="Worktrees")).to_contain_text("worktree-batch1")
    graph.locator("[data-task=queue]").focus()

    expect(graph.locator("path.its")).not_to_have_count(0)


def test_a_plan_is_built_from_the_page(site: Web, tab: Tab, tell: Tell) -> None:
    """Without a plan the page says so; its button asks for one, which shows when it is built."""
    tell(*tasks("/src/button"))
    page = tab(site, f"#/plans/{project_id_of('/src/button')}", may_fail=True)
    expect(page.get_by_text("This project has no plan yet.")).to_be_visible()
    page.get_by_role("button", name="Build").click()
    expect(page.locator(".graph")).to_contain_text("schema")
    tell(
        declared("/src/button", "later", "Write `later.py`", None, ()),
        event("plan.requested", project="/src/button"),
    )

    expect(page.locator(".graph")).to_contain_text("later")


def test_a_project_that_there_is_not(site: Web, tab: Tab) -> None:
    """Of a project that nothing names the page says so, and offers to build nothing."""
    page = tab(site, "#/plans/nope", may_fail=True)
    expect(page.get_by_text("There is no such project.")).to_be_visible()
    expect(page.get_by_role("button", name="Build")).to_have_count(0)
    page.get_by_role("link", name="All projects").click()

    expect(page.locator("h1")).to_have_text("Projects and their plans")


def test_what_is_left_out_and_why(site: Web, tab: Tab, tell: Tell) -> None:
    """Epics and tasks that wait for each other are named, what is left out for them, and what is missing."""
    project = "/src/left-out"
    tell(
        event("plan.epic_declared", epic="ring", project=project, depends_on=["ring2"]),
        event("plan.epic_declared", epic="ring2", project=project, depends_on=["ring"]),
        event("plan.epic_declared", epic="open", project=project, depends_on=["nowhere"]),
        declared(project, "first", "", "ring", ()),
        declared(project, "second", "", "ring2", ()),
        declared(project, "hangs", "", None, ("first",)),
        declared(project, "loop", "", None, ("loop",)),
        declared(project, "good", "", "open", ()),
        event("plan.requested", project=project),
    )
    page = tab(site, f"#/plans/{project_id_of(project)}", may_fail=True)
    warnings = page.get_by_label("Warnings")
    for text in (
        "These epics wait for each other: ring, ring2",
        "This task waits for itself: loop",
        "4 tasks left out, in a cycle or waiting for one",
        "hangs",
        "Epic open depends on nowhere",
    ):
        expect(warnings).to_contain_text(text)

    expect(page.get_by_text("1 task in 1 batch, 0 of them parallel, 0 predicted conflicts")).to_be_visible()


def test_large_batches_are_folded(site: Web, tab: Tab, tell: Tell) -> None:
    """Of many tasks in a batch some are drawn, and all when asked for."""
    tell(
        *(
            declared("/src/large", f"task-{number:03}", f"Write `f{number}.py`", None, ())
            for number in range(40)
        ),
        event("plan.requested", project="/src/large"),
    )
    page = tab(site, f"#/plans/{project_id_of('/src/large')}", may_fail=True)
    expect(page.locator("[data-task]")).to_have_count(9)
    page.get_by_role("button", name="31 more").press("Enter")
    expect(page.locator("[data-task]")).to_have_count(40)
    page.get_by_role("button", name="show fewer").press("Enter")

    expect(page.locator("[data-task]")).to_have_count(9)
