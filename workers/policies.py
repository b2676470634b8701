"""The policy that a process goes by: read at its start, and kept under its version."""

from policy.limits import Limits
from policy.policy_file import Policy, PolicyFaults
from policy.replay import limits_as_json, version_of
from policy.settings import PolicySettings
from profiles.database import Database
from profiles.policies import keep_policy
from workers.faults import Fault


def policy_in_force(settings: PolicySettings) -> Policy:
    """What the shop has set. Raises ``Fault`` with everything that is wrong with the file."""
    try:
        return settings.policy
    except PolicyFaults as faults:
        raise Fault(f"WAYPOST_POLICY: {faults}") from faults


async def keep_limits(database: Database, limits: Limits) -> None:
    """Keep what decisions are about to be made by, so that they can be made again."""
    await database.run(lambda connection: keep_policy(connection, version_of(limits), limits_as_json(limits)))
