"""The profile as stories see it: purchases with their times, and the traits that the author declares."""

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from activities.contracts import ProfileSnapshot, PurchasedItem

_PERSONAL_TRAITS = frozenset(
    {
        *("email", "phone", "name", "first_name", "last_name", "firstname", "lastname", "username"),
        *("address", "street", "birthday", "date_of_birth"),
    }
)


class Profile(ProfileSnapshot):
    """A snapshot; read the profile again for a newer one. Declare traits of your own by subclassing::

            class Member(Profile):
                plan: str = "none"

    Each trait needs a default, which is used where the trait is missing or does not fit. Names, addresses
    and other personal traits are refused: what a story reads is written into Temporal's history, which
    must not contain personal data.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name in cls.declared():
            if name in _PERSONAL_TRAITS:
                raise TypeError(
                    f"{cls.__qualname__}.{name}: a story may not read it, since histories carry ids, not "
                    "people; templates have first_name, and the gate has the address"
                )
            if cls.model_fields[name].is_required():
                raise TypeError(f"{cls.__qualname__}.{name} needs a default, for profiles without {name}")

    @classmethod
    def declared(cls) -> tuple[str, ...]:
        """Names of the traits that this class declares."""
        return tuple(name for name in cls.model_fields if name not in Profile.model_fields)

    @classmethod
    def read_from(cls, read: ProfileSnapshot) -> tuple["Profile", tuple[str, ...]]:
        """Return the profile, and the traits that did not fit and have their default. Never raises."""
        known = {name: getattr(read, name) for name in ProfileSnapshot.model_fields}
        traits = {name: read.traits[name] for name in cls.declared() if name in read.traits}
        try:
            return cls.model_validate({**known, **traits}), ()
        except ValidationError as error:
            unfit = tuple(dict.fromkeys(str(fault["loc"][0]) for fault in error.errors() if fault["loc"]))
            fitting = {name: value for name, value in traits.items() if name not in unfit}
            return cls.model_validate({**known, **fitting}), unfit

    @property
    def median_gap(self) -> timedelta | None:
        """The median time between two orders; None with fewer than three."""
        return None if self.median_gap_days is None else timedelta(days=self.median_gap_days)

    @property
    def since_last_order(self) -> timedelta | None:
        """Time since the last order; None without any."""
        return None if self.last_order_at is None else self.at - self.last_order_at

    def bought(self, item: str, within: timedelta | None = None) -> PurchasedItem | None:
        """The latest purchase of an item (by its key) that was not returned, ``within`` that time or ever."""
        for line in self.purchases:
            if line.item == item and line.quantity > 0 and (within is None or self.at - line.at <= within):
                return line
        return None
