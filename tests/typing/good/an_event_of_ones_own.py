"""An event that an author declares is typed like those that ship."""

from typing import assert_type

from journeys.vocabulary import Journey, days, exit_on, goal, journey
from profiles.events import Event


class AppointmentBooked(Event, name="Typed Appointment Booked"):
    appointment_id: str
    store: str | None = None


class AppointmentKept(Event, name="Typed Appointment Kept"):
    appointment_id: str


@journey(
    starts_on=AppointmentBooked,
    keyed_by=lambda e: e.appointment_id,
    where=lambda e: e.store is not None,
    ends_on=(goal(AppointmentKept), exit_on(AppointmentBooked)),
)
class Appointment(Journey):
    async def run(self, entry: AppointmentBooked) -> str:
        kept = await self.wait_for(
            AppointmentKept, where=lambda e: e.appointment_id == entry.appointment_id, within=days(2)
        )
        assert_type(kept, AppointmentKept | None)
        return entry.store or "somewhere"
