"""Identifiers that a page names beside a customer, and that nothing confirms: what the sender is answered."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from profiles.identity.identifiers import (
    DEVICE_TYPES,
    STRONG_TYPES,
    strongest_first,
    type_of_key,
)
from profiles.state.bounds import Problem
from profiles.state.event_records import IncomingEvent

UNCONFIRMED_DEVICE = "unconfirmed_device"
"""Code of the problem of a browser or device that a page names beside a customer."""

UNCONFIRMED_IDENTIFIER = "unconfirmed_identifier"
"""Code of the problem of any other identifier, such as an address."""

CONFIRM_PAGE = "docs/how-to/confirm-logins.md"

_REMEDY_BY_CODE = {
    UNCONFIRMED_DEVICE: "have it send both in one event, such as an identify at login",
    UNCONFIRMED_IDENTIFIER: "have it send both in an identify",
}


@dataclass(frozen=True, slots=True)
class UnconfirmedLinks:
    """What an unverified event links with a customer and no verified event does."""

    reported: tuple[Problem, ...] = ()
    """For the answer. It is the same whether the customer is known or not, because a write key is public."""
    refused: tuple[Problem, ...] = ()
    """Those that were not linked, since a verified event names the customer. For operators."""


def find_unconfirmed_links(
    incoming: IncomingEvent,
    profile_by_key: Mapping[str, UUID],
    *,
    unusable: Collection[str],
    linked_by_page: Collection[str],
    accepts_device: bool,
    is_verified_profile: Callable[[UUID], bool],
) -> UnconfirmedLinks:
    """Return what an event of a page links with its strongest identifier, if no verified event does. Pure.

    ``unusable``: quarantined keys. ``linked_by_page``: devices that only a page has linked.
    ``accepts_device``: whether the shop accepts what a page says of a device. ``is_verified_profile``:
    whether a verified event names a strong identifier of a profile.
    """
    # The tokens of an event that proves only a part of its identifiers have a problem of their own.
    if incoming.verified or incoming.by_customer or len(incoming.identifiers) < 2:
        return UnconfirmedLinks()
    # Without those that another identifier implies, such as the hash of an address.
    named = [key for key in incoming.pointers if key in profile_by_key and key not in unusable]
    keys = sorted(named, key=strongest_first)
    if not keys or type_of_key(keys[0]) not in STRONG_TYPES:
        return UnconfirmedLinks()
    strongest, customer = keys[0], profile_by_key[keys[0]]
    reported, refused = [], []
    for key in keys[1:]:
        is_joined = profile_by_key[key] == customer
        kind = type_of_key(key)
        # Only a device cannot be guessed. For an address silence would tell that it is this customer's.
        is_device = kind in DEVICE_TYPES and key not in linked_by_page
        if is_device and is_joined and is_verified_profile(customer):
            continue
        pointers = incoming.pointers[key], incoming.pointers[strongest]
        problem = _problem(*pointers, kind, accepts_device=accepts_device)
        reported.append(problem)
        if not is_joined and (is_verified_profile(customer) or is_verified_profile(profile_by_key[key])):
            refused.append(problem)
    return UnconfirmedLinks(tuple(reported), tuple(refused))


@lru_cache(maxsize=256)
def _problem(pointer: str, customer: str, kind: str, *, accepts_device: bool) -> Problem:
    """Return the problem of an identifier of type ``kind``. Shared by events, so not to be changed."""
    code = UNCONFIRMED_DEVICE if kind in DEVICE_TYPES else UNCONFIRMED_IDENTIFIER
    extent = "for more than carts and purchases " if accepts_device and kind == "anonymous_id" else ""
    detail = (
        f"{pointer} is linked with a customer of your server ({customer}) {extent}by your server only, since "
        f"a write key is public: {_REMEDY_BY_CODE[code]}, or give the page an identity token; {CONFIRM_PAGE}"
    )
    return {"code": code, "pointer": pointer, "detail": detail}
