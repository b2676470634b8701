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

_KINDS: dict[Paint, tuple[Kind, ...]] = {
    Paint("#e6f4ec", "#2c8a57", INK): (Kind.ENTRY,),
    Paint("#e8f0fc", "#3a6fc0", INK): (Kind.WAIT, Kind.WAIT_ALL, Kind.LOOK_BACK),
    Paint("#eef0f4", "#6f7989", INK): (Kind.QUIET, Kind.SLEEP, Kind.UNTIL, Kind.HOLD, Kind.FORGET),
    Paint("#fdf0e2", "#bd6a14", INK): (Kind.SEND,),
    Paint("#f5ebf9", "#8a48a8", INK): (Kind.RETARGET, Kind.OPT_OUT),
    Paint("#e5f4f5", "#26828b", INK): (Kind.SUGGESTIONS, Kind.PROFILE),
    Paint("#fef9e2", "#a88b0c", INK): (Kind.EXPERIMENT, Kind.CHOOSE, Kind.CHOICE, Kind.LOOP),
    Paint("#f6f5f2", "#857e71", INK): (Kind.PERFORM, Kind.CALL),
    Paint("#2a2f37", "#2a2f37", "#ffffff"): (Kind.END,),
}

PAINTS = {kind: paint for kind in Kind for paint, kinds in _KINDS.items() if kind in kinds}
