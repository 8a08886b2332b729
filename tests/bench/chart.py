"""A chart of bars as SVG: panels beside each other, a bar for each contestant, readable in light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 860
_COLUMNS = 2
_GAP = 28
_BAR = 15
_STEP = 22
_HEAD = 44
_NAME_WIDTH = 118
_VALUE_WIDTH = 74
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; font-size: 13px; fill: #1f2328 }
.ours { font-weight: 600; fill: #1f2328 }
rect { fill: #afb8c1 } rect.ours { fill: #0969da } rect.floor { fill: #d8dee4 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title, text.ours { fill: #f0f6fc }
  rect { fill: #656c76 } rect.ours { fill: #4493f8 } rect.floor { fill: #3d444d }
}
"""


@dataclass
class Bar:
    """One contestant in one panel.

    Attributes:
        name: Who.
        value: How much, in whatever the panel shows.
        label: The value as text.
        kind: `ours`, `floor` (the bare disk) or empty.
    """

    name: str
    value: float
    label: str
    kind: str = ""


@dataclass
class Panel:
    """What was measured, and who reached what.

    Attributes:
        title: What was measured, and whether more or less of it is better.
        bars: From top to bottom.
    """

    title: str
    bars: list[Bar]


def draw(panels: Sequence[Panel], note: str) -> str:
    """Return panels as an SVG document, two in a row, with a note below."""
    width = (_WIDTH - _GAP * (_COLUMNS - 1)) / _COLUMNS
    parts: list[str] = []
    top = 0.0
    for start in range(0, len(panels), _COLUMNS):
        row = panels[start : start + _COLUMNS]
        for column, panel in enumerate(row):
            parts += _panel(panel, column * (width + _GAP), top, width)
        top += _HEAD + _STEP * max(len(panel.bars) for panel in row) + 8
    parts.append(_text(0, top + 14, note))
    height = top + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(_spoken(panels), {chr(34): "&quot;"})}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(panel: Panel, left: float, top: float, width: float) -> list[str]:
    parts = [_text(left, top + 22, panel.title, "title")]
    room = width - _NAME_WIDTH - _VALUE_WIDTH
    longest = max(bar.value for bar in panel.bars)
    for number, bar in enumerate(panel.bars):
        y = top + _HEAD - 8 + number * _STEP
        long = max(1.0, room * bar.value / longest)
        parts += [
            _text(left, y + 12, bar.name, bar.kind),
            f'<rect class="{bar.kind}" x="{left + _NAME_WIDTH:.1f}" y="{y:.1f}" '
            f'width="{long:.1f}" height="{_BAR}" rx="2"/>',
            _text(left + _NAME_WIDTH + long + 6, y + 12, bar.label, bar.kind),
        ]
    return parts


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _spoken(panels: Sequence[Panel]) -> str:
    """Return all of it as a sentence for each panel, for who does not see it."""
    return " ".join(
        f"{panel.title}: " + ", ".join(f"{bar.name} {bar.label}" for bar in panel.bars) + "."
        for panel in panels
    )
