"""A fake SendGrid: ``POST /v3/mail/send``."""

import json

from uuid_utils.compat import uuid7

from tests.support.fakes.http import Request
from tests.support.fakes.ledger import Delivery
from tests.support.fakes.mode import Mode
from tests.support.fakes.provider import FakeProvider

_ERRORS = {
    400: ("Does not contain a valid address.", "personalizations.0.to.0.email"),
    401: ("The provided authorization grant is invalid, expired, or revoked", None),
    403: ("The from address does not match a verified Sender Identity.", "from"),
    413: ("Payload too large", None),
    429: ("too many requests", None),
}


class FakeSendGrid(FakeProvider):
    """Takes mail the way SendGrid does, one delivery per recipient."""

    name = "sendgrid"

    def deliveries(self, request: Request, provider_id: str) -> list[Delivery]:
        if (request.method, request.path) != ("POST", "/v3/mail/send"):
            raise ValueError(f"expected POST /v3/mail/send, got {request.method} {request.path}")
        mail = json.loads(request.body)
        if mail.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return []
        parts = {part["type"]: part["value"] for part in mail["content"]}
        return [
            Delivery(
                provider=self.name,
                to=to["email"],
                subject=person.get("subject") or mail["subject"],
                text=parts.get("text/plain", ""),
                html=parts.get("text/html", ""),
                headers={**mail.get("headers", {}), **person.get("headers", {})},
                message_id={**mail.get("custom_args", {}), **person.get("custom_args", {})}.get(
                    "message_id", ""
                ),
                provider_id=provider_id,
            )
            for person in mail["personalizations"]
            for to in person["to"]
        ]

    def answer(self, mode: Mode, provider_id: str, request: Request) -> tuple[int, dict[str, str], str]:
        status = mode.status or 202
        headers = {"Content-Type": "application/json", **mode.headers}
        if mode.status is None:
            headers["X-Message-Id"] = provider_id
        if mode.body is not None:
            return status, headers, mode.body
        if status < 400:
            return status, headers, ""
        message, field = _ERRORS.get(status, ("Internal Server Error", None))
        return status, headers, json.dumps({"errors": [{"message": message, "field": field, "help": None}]})

    def new_id(self) -> str:
        return f"sg.{uuid7().hex}"
