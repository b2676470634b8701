"""Decides which channel suits a person, best first."""

from collections.abc import Collection, Mapping, Sequence

from policy.verdict import Channel


def ranked(
    candidates: Sequence[Channel],
    *,
    reachable: Collection[Channel],
    refused: Collection[Channel] = (),
    stated: str | None = None,
    engaged: Mapping[Channel, int] | None = None,
) -> tuple[Channel, ...]:
    """The candidates in the order to try them; none is left out, since the gate has the last word.

    Reachable ones first, those the person refused last among them; then the channel the person named as
    theirs (``stated``), then by how often they ``engaged`` there of late, then as the candidates are given.
    """
    engaged = engaged or {}

    def merit(channel: Channel) -> tuple[bool, bool, bool, int]:
        return (
            channel not in reachable,
            channel in refused,
            channel.value != (stated or "").strip().lower(),
            -engaged.get(channel, 0),
        )

    return tuple(sorted(dict.fromkeys(candidates), key=merit))
