"""How large a proof is: a size that fits CI, or the full one, whose figures go into the docs."""

import os

FULL = os.environ.get("WAYPOST_PROOF") == "full"


def size(ci: int, full: int) -> int:
    """``full`` under WAYPOST_PROOF=full, else ``ci``."""
    return full if FULL else ci
