"""The chart of docs/speed.md: bars on a logarithmic scale, drawn as SVG text without any library."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from tables import LABELS, number

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 130, 90, 16, 6, 34
# Readable on a light and on a dark page.
OURS, CEILING, OTHERS, TEXT = "#0a7ea4", "#8a94a0", "#c48a3a", "#7d8590"
PANELS = (
    ("Drain at concurrency 100, one worker process, jobs/s (more is better)", ("drain", "100")),
    ("Enqueue in bulk, jobs/s (more is better)", ("enqueue_bulk",)),
    ("Pickup by an idle worker, 99th percentile, ms (less is better)", ("pickup_p99_ms",)),
)


def drawn(figures: dict[str, Any]) -> str:
    """The whole picture; systems without a figure are left out of a panel."""
    parts: list[str] = []
    y = 0
    for title, path in PANELS:
        values = {name: value for name, one in figures["systems"].items() if (value := _at(one, path))}
        if values:
            parts += _panel(title, values, y)
            y += TOP + len(values) * (BAR + GAP) + GAP
    style = f'font-family="system-ui, sans-serif" font-size="12" fill="{TEXT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" {style}>'
    label = "<title>Penstock, bare redis-py and other job queues, bars on logarithmic scales</title>"
    return "\n".join([head, label, *parts, "</svg>"]) + "\n"


def _panel(title: str, values: dict[str, float], y: int) -> list[str]:
    least = 10 ** math.floor(math.log10(min(values.values())) - 0.3)
    room = math.log10(max(values.values()) / least)
    parts = [f'<text x="0" y="{y + 20}" font-weight="600">{escape(title)}</text>']
    for place, (name, value) in enumerate(values.items()):
        top = y + TOP + place * (BAR + GAP)
        length = (WIDTH - LEFT - RIGHT) * math.log10(value / least) / room
        colour = {"penstock": OURS, "raw": CEILING}.get(name, OTHERS)
        middle = top + BAR - 4
        parts += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(LABELS.get(name, name))}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}" rx="2"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{middle}">{number(value)}</text>',
        ]
    return parts


def _at(figures: dict[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = figures
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
