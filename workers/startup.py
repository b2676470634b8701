"""Checks at the start of a process: journeys and their messages, segments, database schema and policy.

Every fault is reported at once, as a ``UserError``.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from activities.content.template import CHANNEL_FILES, MANIFEST_FILE_NAME, load_manifest
from activities.content.templates import TemplateRegistry
from activities.content.validation import TemplateError
from journeys.checks.errors import JourneyError
from journeys.checks.messages import TemplateCatalog, TemplateSummary
from journeys.checks.run import message_faults_of
from journeys.registry import JourneyRegistry, discover_journeys
from journeys.vocabulary.definition import JourneyDefinition
from journeys.vocabulary.segment import Segment
from policy.config.policy_file import Policy, PolicyFaults
from policy.config.settings import PolicySettings
from policy.limits import Limits
from policy.replay import limits_to_json, policy_version
from profiles.db.database import Database
from profiles.db.migrate import SchemaMismatch, check_schema
from profiles.error_description import describe_error
from profiles.messaging.policy_versions import store_policy_version
from profiles.sweeps.segments import check_segment_queries
from workers.errors import UserError

log = structlog.get_logger(__name__)

_FATAL_SQLSTATE_CLASSES = ("28", "3D")
"""SQLSTATE classes of a refused login and of a missing database: waiting cannot help."""


@dataclass(frozen=True, slots=True)
class LoadedJourneys:
    """Journeys and their message templates, checked against each other."""

    journeys: JourneyRegistry
    templates: TemplateRegistry


def load_checked_journeys(modules: Sequence[str]) -> LoadedJourneys:
    """Load the journeys of these modules and their messages. Needs no database and no Temporal.

    Raises ``UserError`` with every fault of every journey and message, each with file and line.
    """
    reading = discover_journeys(modules)
    catalog = build_catalog(reading.folders, complete=reading.complete)
    faults = list(reading.faults)
    for definition in reading.journeys.values():
        faults.extend(message_faults_of(definition, catalog))
    messages = [str(JourneyError(faults))] if faults else []
    try:
        templates = TemplateRegistry.load(reading.folders)
    except TemplateError as error:
        raise UserError("\n".join([*messages, str(error)])) from error
    if messages:
        raise UserError(messages[0])
    return LoadedJourneys(reading.journeys, templates)


def build_catalog(folders: Iterable[Path], *, complete: bool = True) -> TemplateCatalog:
    """Return the catalog of messages in journey folders, also faulty ones. ``complete``: of all journeys."""
    files = [
        file for folder in dict.fromkeys(folders) for file in sorted(folder.glob(f"*/{MANIFEST_FILE_NAME}"))
    ]
    return TemplateCatalog([_summary(file) for file in files], complete=complete)


def _summary(file: Path) -> TemplateSummary:
    name = file.parent.name
    channels = frozenset(channel for channel, part in CHANNEL_FILES.items() if (file.parent / part).is_file())
    manifest, _ = load_manifest(file)
    if manifest is None:
        return TemplateSummary(name, channels)
    extra = {key: value.required for key, value in manifest.extra.items()}
    return TemplateSummary(name, channels, manifest.message_class, manifest.items == "required", extra)


def declared_segments(journeys: Mapping[str, JourneyDefinition]) -> dict[str, Segment]:
    """Return all segments of the journeys by name; journeys may share a segment."""
    return {segment.name: segment for definition in journeys.values() for segment in definition.segments}


def find_segment_conflicts(journeys: Mapping[str, JourneyDefinition]) -> list[str]:
    """Describe segments that two journeys declare differently under one name, one sentence each.

    A name has one schedule and one set of members, so it can have only one query.
    """
    first: dict[str, tuple[str, Segment]] = {}
    faults = []
    for name, definition in journeys.items():
        for segment in definition.segments:
            first_name, declared = first.setdefault(segment.name, (name, segment))
            differing = [
                field.name
                for field in fields(Segment)
                if getattr(segment, field.name) != getattr(declared, field.name)
            ]
            if differing:
                faults.append(
                    f"segment {segment.name!r}: {name} and {first_name} declare it with different "
                    f"{' and '.join(differing)}; share one Segment between them, or give it another name"
                )
    return faults


async def validate_segments(database: Database, journeys: Mapping[str, JourneyDefinition]) -> None:
    """Raise ``UserError`` with all faults of the journeys' segments. Postgres checks their queries."""
    faults = find_segment_conflicts(journeys)
    segments = (segment for definition in journeys.values() for segment in definition.segments)
    faults += await check_segment_queries(database, dict.fromkeys(segments))
    if faults:
        raise UserError("segments cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))


async def wait_for_schema(database_url: str, *, retry_interval_s: float = 1.0) -> None:
    """Return once the database is at the revision that this code needs.

    While Postgres is away, log a warning and retry every ``retry_interval_s`` seconds. Raises ``UserError``
    if the schema is missing, older or newer, or Postgres refuses the login or database name.
    """
    while True:
        try:
            await check_schema(database_url)
        except SchemaMismatch as error:
            raise UserError(str(error)) from error
        except (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if _sqlstate(error)[:2] in _FATAL_SQLSTATE_CLASSES:
                raise UserError(f"Postgres refuses DATABASE_URL: {error}; correct it") from error
            log.warning("Postgres is not there yet", error=describe_error(error), again_in_s=retry_interval_s)
            await asyncio.sleep(retry_interval_s)
        else:
            return


def _sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE, also of an error that SQLAlchemy has wrapped; empty if there is none."""
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", None) or "")


def load_policy(settings: PolicySettings) -> Policy:
    """Return the policy of the settings. Raises ``UserError`` with all faults of the policy file."""
    try:
        return settings.policy
    except PolicyFaults as faults:
        raise UserError(f"WAYPOST_POLICY: {faults}") from faults


async def store_policy_limits(database: Database, limits: Limits) -> None:
    """Store the limits under their policy version, so that decisions can be replayed. Idempotent."""
    await database.run(
        lambda connection: store_policy_version(connection, policy_version(limits), limits_to_json(limits))
    )
