"""Assigns profiles to the arms of experiments, deterministically."""

import hashlib
from collections.abc import Mapping


def assign_arm(person: str, experiment: str, weights: Mapping[str, int]) -> str:
    """Return the name of the profile's arm. Shares are proportional to the weights, with any sum.

    Sticky: it depends only on the arguments, not on the order of the arms, and a changed weight moves only
    profiles near the borders. Two experiments split the same profiles independently. Raises ValueError
    without arms, for a negative weight, and where every weight is zero.
    """
    total = sum(weights.values())
    if total <= 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError(
            f"experiment {experiment!r}: expected arms with weights of 0 or more and at least one above 0, "
            f"got {dict(weights)!r}; give each arm its share, for example offer=50, control=50"
        )
    # The length prefix distinguishes ("ab", "c") from ("a", "bc").
    digest = hashlib.sha256(f"{len(experiment)}:{experiment}:{person}".encode()).digest()
    place = int.from_bytes(digest, "big") * total >> 256
    for arm, weight in sorted(weights.items()):
        if place < weight:
            return arm
        place -= weight
    raise AssertionError("unreachable: place is below the sum of the weights")
