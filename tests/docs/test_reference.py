"""The pages that are written from the program say what the program does."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from flightlog_schemas.completeness import FindingKind
from flightlog_schemas.levels import NAMES
from flightlog_schemas.plans import ConflictKind
from flightlog_schemas.wire.ingest import RefusalCode
from flightlogd.lifecycle import FindingType
from flightlogd.projections.audit_task import TaskEntryType
from support.reference import command_reference, setting_reference, with_generated
from support.source import ROOT

PAGES = {"cli.md": command_reference, "configuration.md": setting_reference}


@pytest.mark.covers("S1.16")
@pytest.mark.parametrize("name", PAGES)
def test_generated_text_is_up_to_date(name: str, update_golden: bool) -> None:
    """All verbs, flags and settings are in the docs, in the words of the program."""
    page: Path = ROOT / "docs" / name
    text = page.read_text("utf-8")
    fresh = with_generated(text, PAGES[name]())
    if update_golden:
        page.write_text(fresh, "utf-8")
        text = fresh

    assert text == fresh, f"{page} is behind the program: pytest --update-golden tests/docs"


@pytest.mark.covers("S1.16")
@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("audit.md", [*get_args(FindingType), *get_args(TaskEntryType)]),
        ("troubleshooting.md", [*get_args(FindingKind), *get_args(RefusalCode)]),
        ("levels.md", NAMES),
        ("plans.md", get_args(ConflictKind)),
    ],
)
def test_closed_lists_are_told_whole(page: str, names: Sequence[str]) -> None:
    """Each type of audit entry, finding of a check, code of a refusal and name of a level is explained."""
    text = (ROOT / "docs" / page).read_text("utf-8")

    assert [name for name in names if f"`{name}`" not in text and f"| {name} " not in text] == []
