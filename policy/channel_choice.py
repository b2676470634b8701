"""Ranks the channels on which a message may reach a profile."""

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
    """Return the reachable candidates, best first; the first candidate alone where none is reachable.

    ``refused`` channels come last. They are not removed, since the gate decides on consent. Of the others,
    ``preferred`` comes first. The rest are sorted by ``engagement_counts``, then by the order of
    ``candidates``.
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
