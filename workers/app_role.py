"""What ``waypost migrate --app-role`` does besides."""

from pydantic import SecretStr

from profiles.app_role import OwnsTheTables, grant
from workers.faults import Fault


def let(database_url: str, role: str, password: SecretStr | None) -> str:
    """Give a role what Waypost's processes need, and say so. Raises ``Fault`` for one that nothing binds."""
    try:
        new = grant(database_url, role, password.get_secret_value() if password else None)
    except OwnsTheTables as refusal:
        raise Fault(f"{refusal}.") from refusal
    told = f" Role {role} {'was made and ' if new else ''}may run Waypost, and only add to its ledgers."
    if new and password is None:
        told += " It has no password yet: set DATABASE_APP_PASSWORD and migrate again, or ALTER ROLE."
    return told
