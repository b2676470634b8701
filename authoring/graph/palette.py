"""Colours of the kinds of steps: dark text on light fill, readable on any page."""

from typing import NamedTuple

from authoring.graph.flow import Kind


class Paint(NamedTuple):
    """Colours of a step."""

    fill: str
    line: str
    ink: str


INK, MUTED, LINE = "#1f2329", "#5b6472", "#8a93a1"

INTERRUPT = Paint("#fdeeec", "#c0443a", INK)

_WAIT, _PAUSE = Paint("#e8f0fc", "#3a6fc0", INK), Paint("#eef0f4", "#6f7989", INK)

_READ, _REACH = Paint("#e5f4f5", "#26828b", INK), Paint("#f5ebf9", "#8a48a8", INK)

_ASK = Paint("#fef9e2", "#a88b0c", INK)

PAINTS = {
    Kind.ENTRY: Paint("#e6f4ec", "#2c8a57", INK),
    Kind.WAIT: _WAIT,
    Kind.WAIT_ALL: _WAIT,
    Kind.LOOK_BACK: _WAIT,
    Kind.QUIET: _PAUSE,
    Kind.SLEEP: _PAUSE,
    Kind.UNTIL: _PAUSE,
    Kind.HOLD: _PAUSE,
    Kind.FORGET: _PAUSE,
    Kind.SEND: Paint("#fdf0e2", "#bd6a14", INK),
    Kind.RETARGET: _REACH,
    Kind.OPT_OUT: _REACH,
    Kind.SUGGESTIONS: _READ,
    Kind.PROFILE: _READ,
    Kind.EXPERIMENT: _ASK,
    Kind.CHOOSE: _ASK,
    Kind.PERFORM: Paint("#f6f5f2", "#857e71", INK),
    Kind.CALL: Paint("#f6f5f2", "#857e71", INK),
    Kind.CHOICE: _ASK,
    Kind.LOOP: _ASK,
    Kind.END: Paint("#2a2f37", "#2a2f37", "#ffffff"),
}
