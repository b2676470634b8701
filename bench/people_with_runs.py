"""People of a population with a running cart journey: they have an open cart and can be sent messages."""

from dataclasses import dataclass
from uuid import UUID

from bench.population import has_open_cart, is_named, person_profile_id
from profiles.db.database import Database
from profiles.db.sql import encode_jsonb, new_id


@dataclass(frozen=True, slots=True)
class PersonWithRun:
    """A person with an email address, a cart with one product, and a run about it."""

    profile_id: UUID
    run_id: UUID
    cart_id: str
    product_id: str
    sku: str


_UPDATE_EMAIL_FROM_ORDER = """
UPDATE profile p SET email_from_order = true
FROM jsonb_to_recordset($1) AS a(profile_id uuid) WHERE p.profile_id = a.profile_id
"""
_INSERT_RUNS = """
INSERT INTO run (run_id, journey, key, profile_id, state, workflow_id, entry_event, entered_at)
SELECT run_id, 'cart-abandonment', cart_id, profile_id, 'running', run_id::text, run_id, now()
FROM jsonb_to_recordset($1) AS p(profile_id uuid, run_id uuid, cart_id text)
"""


async def create_people_with_runs(
    database: Database, population: int, max_people: int
) -> list[PersonWithRun]:
    """Create runs for at most ``max_people`` people, spread over a population of that size.

    Raises ValueError if no person of the population has an address and a cart.
    """
    fit = [n for n in range(1, population + 1) if is_named(n) and has_open_cart(n)]
    if not fit:
        raise ValueError(f"none of {population} people has an address and a cart: make more people")
    chosen = fit[:: max(1, len(fit) // max_people)][:max_people]
    people = [
        PersonWithRun(person_profile_id(n), new_id(), f"cart-{n}", f"p-{n % 200}", f"p-{n % 200}-red")
        for n in chosen
    ]
    rows = encode_jsonb(people)
    async with database.transaction() as connection:
        for statement in (_UPDATE_EMAIL_FROM_ORDER, _INSERT_RUNS):
            await connection.execute(statement, rows)
    return people
