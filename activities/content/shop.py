"""Who a message comes from: the shop's name, address and colours, as every template sees them."""

import re
from dataclasses import dataclass

from activities.content.safe_text import host_of, safe_url

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Shop:
    """The sender. Raises ``ValueError`` naming every field that cannot stand in a lawful message."""

    name: str
    postal_address: str
    """One line; commercial mail must show it (CAN-SPAM, 15 U.S.C. 7704(a)(5))."""
    url: str
    support_email: str
    currency: str = "EUR"
    """ISO 4217; used where an order or cart names none."""
    hosts: tuple[str, ...] = ()
    """Hosts that an item's link may lead to besides that of ``url``, each with its subdomains."""
    locale: str = "en"
    """Used to write amounts where the person's own locale is unknown."""
    logo_url: str | None = None
    accent: str = "#1f4a3d"
    """Colour of buttons, #rrggbb; the label turns black or white by what reads better."""

    def __post_init__(self) -> None:
        faults = []
        if not self.name.strip():
            faults.append("name: expected the shop's name, got nothing")
        if not self.postal_address.strip():
            faults.append(
                "postal_address: expected a street address, got nothing; marketing mail must show it"
            )
        if not safe_url(self.url).startswith(("http://", "https://")):
            faults.append(f"url: expected an http(s) address, got {self.url!r}")
        if "@" not in self.support_email:
            faults.append(f"support_email: expected an email address, got {self.support_email!r}")
        if not _CURRENCY.fullmatch(self.currency):
            faults.append(f"currency: expected three capitals as in ISO 4217, got {self.currency!r}")
        if not _HEX.fullmatch(self.accent):
            faults.append(f"accent: expected a colour as #rrggbb, got {self.accent!r}")
        if self.logo_url is not None and not safe_url(self.logo_url):
            faults.append(f"logo_url: expected an http(s) address or None, got {self.logo_url!r}")
        if faults:
            raise ValueError("the shop cannot sign messages: " + "; ".join(faults))

    def owns(self, link: str) -> bool:
        """Whether a link leads to the shop: what a page says of an item may come from anybody."""
        host = host_of(link)
        return any(host == own or host.endswith(f".{own}") for own in (host_of(self.url), *self.hosts) if own)

    @property
    def accent_text(self) -> str:
        """White or near-black, whichever contrasts more with the accent (WCAG 2 relative luminance)."""
        channels = [int(self.accent[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.058 else "#161616"

    def values(self) -> dict[str, object]:
        """What a template may read as ``shop``."""
        return {
            "name": self.name,
            "postal_address": " ".join(self.postal_address.split()),
            "url": self.url,
            "support_email": self.support_email,
            "logo_url": self.logo_url,
            "accent": self.accent,
            "accent_text": self.accent_text,
        }
