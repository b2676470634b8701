"""Decides which arm of an experiment a person is in, the same one every time it is asked."""

import hashlib
from collections.abc import Mapping


def assign_arm(person: str, experiment: str, weights: Mapping[str, int]) -> str:
    """The name of the person's arm, in proportion to the weights, which need not add up to 100.

    Sticky: it depends on nothing but the arguments, and not on the order in which the arms are
    written. Changing a weight moves only people near the borders between arms. Two experiments split
    the same people independently of each other.

    Raises ValueError without arms, for a negative weight, and where every weight is zero.
    """
    total = sum(weights.values())
    if total <= 0 or any(weight < 0 for weight in weights.values()):
        raise ValueError(
            f"experiment {experiment!r}: expected arms with weights of 0 or more and at least one above 0, "
            f"got {dict(weights)!r}; give each arm its share, for example offer=50, control=50"
        )
    # The length in front keeps ("ab", "c") and ("a", "bc") apart.
    digest = hashlib.sha256(f"{len(experiment)}:{experiment}:{person}".encode()).digest()
    place = int.from_bytes(digest, "big") * total >> 256
    for arm, weight in sorted(weights.items()):
        if place < weight:
            return arm
        place -= weight
    raise AssertionError("unreachable: place is below the sum of the weights")
