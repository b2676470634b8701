"""Colours of the kinds of steps: dark on light, so that they read the same on any page."""

from typing import NamedTuple

from workers.graph.flow import Kind


class Paint(NamedTuple):
    """How a step is painted."""

    fill: str
    line: str
    ink: str


INK, MUTED, LINE, CARD = "#1f2329", "#5b6472", "#8a93a1", "#ffffff"
INTERRUPT = Paint("#fdeeec", "#c0443a", INK)

PAINTS = {
    Kind.ENTRY: Paint("#e6f4ec", "#2c8a57", INK),
    Kind.WAIT: Paint("#e8f0fc", "#3a6fc0", INK),
    Kind.QUIET: Paint("#eef0f4", "#6f7989", INK),
    Kind.SLEEP: Paint("#eef0f4", "#6f7989", INK),
    Kind.SEND: Paint("#fdf0e2", "#bd6a14", INK),
    Kind.RETARGET: Paint("#f5ebf9", "#8a48a8", INK),
    Kind.SUGGESTIONS: Paint("#e5f4f5", "#26828b", INK),
    Kind.CALL: Paint("#f6f5f2", "#857e71", INK),
    Kind.CHOICE: Paint("#fef9e2", "#a88b0c", INK),
    Kind.LOOP: Paint("#fef9e2", "#a88b0c", INK),
    Kind.END: Paint("#2a2f37", "#2a2f37", "#ffffff"),
}
