"""The demo's shoppers: invented people, the same ones for the same seed."""

from dataclasses import dataclass
from random import Random
from typing import Any

from local.demo.catalog import CATEGORIES

_FIRST_NAMES = (
    "Ada", "Ben", "Cleo", "Dario", "Elif", "Finn", "Greta", "Hugo", "Ida", "Jonas", "Kaya", "Lena", "Milo",
    "Nora", "Omar", "Paula", "Quinn", "Rosa", "Sami", "Tara", "Umut", "Vera", "Wim", "Xenia", "Yara", "Zoe",
    "Anton", "Bela", "Carla", "Deniz", "Emil", "Frida", "Goran", "Hanna", "Ivo", "Jule", "Karim", "Lotte",
)  # fmt: skip

_ZONE_WEIGHTS = {
    "Europe/Berlin": 45,
    "Europe/London": 15,
    "Europe/Lisbon": 6,
    "America/New_York": 14,
    "America/Los_Angeles": 8,
    "Asia/Kolkata": 5,
    "Asia/Tokyo": 4,
    "Australia/Sydney": 3,
}

_AREA_CODES = (
    212, 303, 305, 312, 404, 415, 503, 512, 602, 617, 619, 702, 713, 720, 773, 808, 816, 901, 917, 971,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoShopper:
    """One invented shopper."""

    number: int
    first_name: str
    email: str | None
    phone: str | None
    loyalty_id: str | None
    zone: str | None
    """Time zone; None: it can only be derived from the phone number, or not at all."""
    consents: dict[str, bool] | None
    favourite: str
    has_account: bool
    two_devices: bool
    lapsed: bool
    """Has orders, but none in the last months."""
    ordered_regularly: bool
    """Lapsed, and ordered every few weeks before; such a customer counts as lapsed after a shorter time."""
    bought_recently: bool
    """Has an order of the last weeks."""
    fills_several_carts: bool
    """Fills several carts one after the other."""
    email_bounces: bool
    """Mail to the email address bounces."""

    @property
    def user_id(self) -> str:
        """The shop's id of the account."""
        return f"user-{self.number:05}"

    def device_id(self, name: str) -> str:
        """Return the anonymous id of one of the shopper's devices."""
        return f"{name}-{self.number:05}"

    @property
    def identifiers(self) -> dict[str, str]:
        """The identifiers in events of the shop's own systems."""
        known = {"user_id": self.user_id} if self.has_account else {}
        if self.loyalty_id:
            known["loyalty_id"] = self.loyalty_id
        return known or {"anonymous_id": self.device_id("web")}

    @property
    def identifier_names(self) -> tuple[str, ...]:
        """All identifiers that Waypost may have for the shopper, each as "type value"."""
        devices = [f"anonymous_id {self.device_id(name)}" for name in ("web", "mobile")]
        return (f"user_id {self.user_id}", *devices, f"loyalty_id {self.loyalty_id}")

    @property
    def traits(self) -> dict[str, Any]:
        """The traits stored in the account."""
        known = {
            "first_name": self.first_name,
            "email": self.email,
            "phone": self.phone,
            "loyalty_id": self.loyalty_id,
            "timezone": self.zone,
            "consents": self.consents,
        }
        return {name: value for name, value in known.items() if value is not None}


def create_shoppers(count: int, seed: int) -> list[DemoShopper]:
    """Return ``count`` shoppers. A larger count returns the same shoppers first."""
    return [_create_shopper(number, Random(f"{seed}/person/{number}")) for number in range(1, count + 1)]  # noqa: S311


def _create_shopper(number: int, rng: Random) -> DemoShopper:
    first_name = _FIRST_NAMES[(number - 1) % len(_FIRST_NAMES)]
    has_account = rng.random() < 0.86
    reach = rng.random()
    phone_only = reach < 0.08
    phone = _phone(number, rng) if phone_only or reach < 0.60 else None
    email = None if phone_only else f"{first_name.lower()}.{number}@example.com"
    lapsed = has_account and rng.random() < 0.13
    return DemoShopper(
        number=number,
        first_name=first_name,
        email=email,
        phone=phone,
        loyalty_id=f"L{number:06}" if has_account and rng.random() < 0.6 else None,
        zone=None if phone_only else rng.choices([*_ZONE_WEIGHTS], [*_ZONE_WEIGHTS.values()])[0],
        consents=_consents(rng, phone_only=phone_only, has_phone=phone is not None),
        favourite=rng.choice(CATEGORIES),
        has_account=has_account,
        two_devices=has_account and rng.random() < 0.15,
        lapsed=lapsed,
        bought_recently=has_account and not lapsed and rng.random() < 0.35,
        fills_several_carts=not lapsed and rng.random() < 0.035,
        email_bounces=email is not None and rng.random() < 0.03,
        ordered_regularly=lapsed and rng.random() < 0.4,
    )


def _consents(rng: Random, *, phone_only: bool, has_phone: bool) -> dict[str, bool] | None:
    if rng.random() < 0.15:
        return None
    consents = {"email": rng.random() < 0.93, "ads": rng.random() < 0.65}
    if has_phone:
        consents["sms"] = phone_only or rng.random() < 0.7
    return consents


def _phone(number: int, rng: Random) -> str | None:
    """Return a unique number that regulators reserve for fiction; None when they are used up."""
    if rng.random() < 0.5 and number < 1000:
        return f"+447700900{number:03}"
    area, line = divmod(number, 100)
    return f"+1{_AREA_CODES[area]}55501{line:02}" if area < len(_AREA_CODES) else None
