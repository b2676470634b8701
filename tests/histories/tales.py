"""All tales of the shipped journeys: one for each wait point and each outcome."""

from tests.histories import cart_tales, purchase_tales, win_back_tales
from tests.histories.tale import CANARIES, TALES, Tale

__all__ = ["CANARIES", "TALES", "Tale", "cart_tales", "purchase_tales", "win_back_tales"]
