"""Decides which channel suits a person, best first."""

from collections.abc import Collection, Mapping, Sequence

from policy.verdict import Channel


def rank_channels(
    candidates: Sequence[Channel],
    *,
    reachable: Collection[Channel],
    refused: Collection[Channel] = (),
    preferred: str | None = None,
    engagement_counts: Mapping[Channel, int] | None = None,
) -> tuple[Channel, ...]:
    """The reachable candidates in the order to try them; the first candidate alone where none is reachable.

    Those the person refused come last, since the gate has the last word on them; else the one they named as
    theirs (``stated``) comes first, then where they ``engaged`` most of late, then as the candidates stand.
    """
    engagement_counts = engagement_counts or {}

    def merit(channel: Channel) -> tuple[bool, bool, int]:
        return (
            channel in refused,
            channel.value != (preferred or "").strip().lower(),
            -engagement_counts.get(channel, 0),
        )

    worth_trying = [channel for channel in candidates if channel in reachable] or candidates[:1]
    return tuple(sorted(dict.fromkeys(worth_trying), key=merit))
