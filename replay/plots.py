"""Small SVG drawings for the report: strips that stretch with the page, so that all text stays HTML and readable.

Every function returns markup; every text argument is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from responders.text import visible

#: Strips are drawn 1000 wide and as high as here, then stretched to the space there is.
WIDTH: Final = 1000
HEIGHT: Final = 24


class Mark(NamedTuple):
    """Something that happened at ``at`` (0 to 1 of the width): a CSS class (``onset`` or ``found``) and its tooltip."""

    at: float
    kind: str
    tip: str


def text(value: str, limit: int = 80) -> str:
    """Foreign text made visible, bounded and escaped for HTML, element or attribute."""
    return escape(visible(value, limit), quote=True)


def density_strip(counts: Sequence[int], peak: int, kind: str, marks: Sequence[Mark], tip: str) -> str:
    """Requests per bin as bars, height ∝ √count against ``peak``; marks are lines, ``found`` ones with a dot."""
    step = WIDTH / max(len(counts), 1)
    bars: list[str] = []
    for i, count in enumerate(counts):
        if count > 0:
            height = max(HEIGHT * math.sqrt(min(count / max(peak, 1), 1.0)), 2.0)
            bars.append(f"M{i * step:.1f} {HEIGHT}V{HEIGHT - height:.1f}H{(i + 1) * step:.1f}V{HEIGHT}Z")
    return _svg(f'<path class="{escape(kind)}" d="{"".join(bars)}"/>' + "".join(map(_mark, marks)), tip)


def share_bar(part: float, whole: float, tip: str) -> str:
    """A track of length ``whole`` (0 to 1) with its first ``part`` (0 to 1) filled."""
    part, whole = _unit(part), _unit(whole)
    return _svg(
        f'<rect class="track" y="5" width="{whole * WIDTH:.1f}" height="14"/>'
        f'<rect class="fill" y="5" width="{part * WIDTH:.1f}" height="14"/>',
        tip,
    )


def lollipop(at: float, kind: str, tip: str) -> str:
    """A line from the left to ``at`` (0 to 1) with a dot at its end."""
    x = _unit(at) * WIDTH
    return _svg(
        f'<path class="stem {escape(kind)}" d="M0 12H{x:.1f}"/><path class="dot {escape(kind)}" d="M{x:.1f} 12h0"/>',
        tip,
    )


def interval_bar(low: float, high: float, at: float, tip: str) -> str:
    """A confidence interval from ``low`` to ``high`` with a dot at the estimate, all 0 to 1."""
    a, b, x = (_unit(v) * WIDTH for v in (low, high, at))
    return _svg(f'<path class="span" d="M{a:.1f} 12H{b:.1f}"/><path class="dot" d="M{x:.1f} 12h0"/>', tip)


def axis(ticks: Sequence[tuple[float, str]]) -> str:
    """Labels under a column of strips, each at its place (0 to 1); HTML, so that they are not stretched."""
    spans = "".join(f'<span style="left:{_unit(at) * 100:.2f}%">{text(label, 20)}</span>' for at, label in ticks)
    return f'<div class="axis" aria-hidden="true">{spans}</div>'


def row(name: str, detail: str, drawing: str, value: str) -> str:
    """One line of a plot: escaped label, drawing, escaped value."""
    small = f"<small class=soft>{text(detail)}</small>" if detail else ""
    label = f'<div class="name">{text(name, 60)}{small}</div>'
    return f'<div class="row">{label}{drawing}<div class="value">{text(value)}</div></div>'


def axis_row(drawing: str) -> str:
    return f'<div class="row"><span></span>{drawing}<span></span></div>'


def nice_ticks(span: float, most: int = 6) -> list[float]:
    """Round values from 0 up to ``span``, at most about ``most``; only 0 where the span is not positive and finite."""
    if not (span > 0 and math.isfinite(span)):
        return [0.0]
    raw = span / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * (1 - 1e-9))
    return [i * step for i in range(int(span / step * (1 + 1e-9)) + 1)]


def _mark(mark: Mark) -> str:
    x = _unit(mark.at) * WIDTH
    tip = f"<title>{text(mark.tip, 200)}</title>"
    line = f'<path class="line" d="M{x:.1f} 0V{HEIGHT}"/>'
    dot = f'<path class="dot" d="M{x:.1f} 6h0"/>' if mark.kind == "found" else ""
    return f'<g class="{escape(mark.kind)}">{tip}{line}{dot}</g>'


def _svg(body: str, tip: str) -> str:
    label = text(tip, 200)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"<title>{label}</title>{body}</svg>"
    )


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0
