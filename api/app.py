"""The FastAPI app: routers, middleware and error handlers, and the state built and closed with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.batching import Batcher
from api.dependencies import AppState
from api.events import routes as event_routes
from api.http.admission import AdmissionMiddleware
from api.http.bodies import BodySizeLimitMiddleware
from api.http.budgets import SenderBudgets
from api.http.head import HeadMiddleware
from api.http.keys import ApiKeys
from api.http.metrics import Metrics
from api.http.problems import register_problem_handlers
from api.routes import (
    addresses,
    consents,
    health,
    identity,
    identity_tokens,
    kill_switches,
    opt_in,
    preferences,
    profiles,
    runs,
    sandbox,
)
from api.settings import ApiSettings, InvalidSettings
from api.temporal import TemporalGateway
from api.why import routes as why_routes
from journeys import registry
from policy.checks.suppression import rule_for
from policy.limits import Limits
from policy.replay import policy_version
from profiles.db.database import Database
from profiles.identity.tokens import IdentityTokens
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.messaging.preference_tokens import OPT_IN_SIGNING_CONTEXT, PreferenceTokens

_API_DESCRIPTION = """\
Customer journeys as durable Python. Channels send **events** here; profiles, runs and decisions can be read.

Send a key as `Authorization: Bearer <key>`, or as Basic with the key as user name and an empty password.
*Write keys* may only send events, *server keys* send verified events, *admin keys* may do everything.
Every refusal is `application/problem+json` (RFC 9457), and its detail says what to do.
"""


class EventsCorsMiddleware:
    """Allows every web origin to send events. No other path is open to browsers of other sites."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cors_app = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["POST"],
            allow_headers=["*"],
            # The browser client waits as Retry-After asks.
            expose_headers=["Retry-After"],
            max_age=86400,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; event paths go through the CORS middleware."""
        is_open = scope["type"] == "http" and scope["path"] in event_routes.EVENT_PATHS
        await (self._cors_app if is_open else self._app)(scope, receive, send)


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """Create the HTTP API. Without ``settings`` they are read from the environment.

    Raises ``InvalidSettings`` with all that is missing or unsafe, or if the journeys cannot be loaded.
    """
    settings = settings or ApiSettings()
    settings.check()
    try:
        journeys = registry.load_journeys(settings.journey_modules)
        limits = settings.policy.limits
    except ValueError as error:
        raise InvalidSettings(str(error)) from error
    app = FastAPI(
        title="Waypost",
        version="0.6.0",
        description=_API_DESCRIPTION,
        lifespan=lambda app: _lifespan(app, settings, journeys, limits),
        redoc_url=None,
    )
    parts = (
        event_routes,
        identity_tokens,
        identity,
        why_routes,
        consents,
        profiles,
        runs,
        opt_in,
        preferences,
        health,
        kill_switches,
        addresses,
        sandbox,
    )
    _serve_schema_once_made(app)
    for router in (*(part.router for part in parts), why_routes.page_router):
        app.include_router(router)
    register_problem_handlers(app)
    app.add_middleware(
        AdmissionMiddleware,
        event_paths=event_routes.EVENT_PATHS,
        keyless_paths=event_routes.KEY_IN_BODY_PATHS,
    )
    app.add_middleware(BodySizeLimitMiddleware)
    app.add_middleware(EventsCorsMiddleware)
    app.add_middleware(HeadMiddleware)
    return app


def _serve_schema_once_made(app: FastAPI) -> None:
    """Answer the path of the schema with bytes that are made for its first reader.

    FastAPI's own route serialises the schema for every request, for anyone, on the event loop.
    """
    path, body = str(app.openapi_url), b""

    async def schema(request: Request) -> Response:
        nonlocal body
        body = body or bytes(JSONResponse(app.openapi()).body)
        return Response(body, media_type="application/json")

    app.router.routes = [route for route in app.router.routes if getattr(route, "path", "") != path]
    app.add_route(path, schema, include_in_schema=False)


@asynccontextmanager
async def _lifespan(
    app: FastAPI, settings: ApiSettings, journeys: registry.JourneyRegistry, limits: Limits
) -> AsyncIterator[None]:
    """Build the app's state. At the end finish all batches, then close the database."""
    database = Database(settings.database_url, pool_size=settings.database_pool_size)
    metrics = Metrics(policy_version(limits))
    rules = IngestConfig(
        local=settings.waypost_local,
        suppression_rule_for=partial(rule_for, limits),
        on_late_purchase=metrics.overtaken_messages.inc,
        on_address_report=lambda channel, kind, times: metrics.address_reports.labels(channel, kind).inc(
            times
        ),
        on_left_out=lambda key, code, times: metrics.left_out.labels(key, code).inc(times),
        max_unstarted_runs=settings.waypost_max_unstarted_runs,
        accept_page_devices=settings.waypost_accept_page_devices,
        on_unconfirmed_link=metrics.unconfirmed_links.inc,
    )
    ingest = Ingest(database, journeys.routes, rules)
    batcher = Batcher(ingest.__call__, database.ping)
    app.state.app_state = AppState(
        settings=settings,
        database=database,
        batcher=batcher,
        journeys=journeys,
        keys=ApiKeys(write=settings.write_keys, server=settings.server_keys, admin=settings.admin_keys),
        preference_tokens=PreferenceTokens(settings.signing_secrets),
        opt_in_tokens=PreferenceTokens(settings.signing_secrets, context=OPT_IN_SIGNING_CONTEXT),
        identity_tokens=IdentityTokens(settings.signing_secrets),
        temporal=TemporalGateway(settings),
        metrics=metrics,
        ingest_rules=rules,
        limits=limits,
        budgets=SenderBudgets(
            address_events_per_s=settings.waypost_address_events_per_s,
            key_events_per_s=settings.waypost_key_events_per_s,
        ),
    )
    try:
        yield
    finally:
        await batcher.close()
        await database.close()
