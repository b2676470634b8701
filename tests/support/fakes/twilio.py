"""A fake Twilio: ``POST /2010-04-01/Accounts/{sid}/Messages.json``."""

import json
import re
from urllib.parse import parse_qs

from uuid_utils.compat import uuid7

from tests.support.fakes.http import Request
from tests.support.fakes.ledger import Delivery
from tests.support.fakes.mode import Mode
from tests.support.fakes.provider import FakeProvider

_PATH = re.compile(r"/2010-04-01/Accounts/(?P<account>[^/]+)/Messages\.json")


class FakeTwilio(FakeProvider):
    """Takes texts the way Twilio does."""

    name = "twilio"

    def deliveries(self, request: Request, provider_id: str) -> list[Delivery]:
        if request.method != "POST" or not _PATH.fullmatch(request.path):
            raise ValueError(f"expected POST {_PATH.pattern}, got {request.method} {request.path}")
        form = fields(request)
        if not form.get("From") and not form.get("MessagingServiceSid"):
            raise ValueError("A 'From' or 'MessagingServiceSid' parameter is required.")
        validity = form.get("ValidityPeriod")
        return [
            Delivery(
                provider=self.name,
                to=form["To"],
                subject="",
                text=form["Body"],
                message_id="",  # Twilio is given none
                provider_id=provider_id,
                callback=form.get("StatusCallback", ""),
                validity_s=int(validity) if validity else None,
            )
        ]

    def answer(self, mode: Mode, provider_id: str, request: Request) -> tuple[int, dict[str, str], str]:
        status = mode.status or 201
        headers = {"Content-Type": "application/json", **mode.headers}
        if mode.body is not None:
            return status, headers, mode.body
        if status < 400:
            return status, headers, json.dumps(self._message(provider_id, request))
        to = fields(request).get("To", "")
        code = mode.code or {401: 20003, 404: 20404, 429: 20429}.get(status, 20500 if status > 499 else 21211)
        said = f"The 'To' number {to} was refused"
        more = f"https://www.twilio.com/docs/errors/{code}"
        error = {"code": code, "message": said, "more_info": more, "status": status}
        return status, headers, json.dumps(error)

    def new_id(self) -> str:
        return f"SM{uuid7().hex}"

    @staticmethod
    def _message(provider_id: str, request: Request) -> dict[str, object]:
        form, path = fields(request), _PATH.fullmatch(request.path)
        return {
            "sid": provider_id,
            "account_sid": path["account"] if path else "",
            "status": "queued",
            "to": form.get("To"),
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "body": form.get("Body"),
            "num_segments": "1",
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "date_created": "Sat, 21 Nov 2026 10:00:00 +0000",
        }


def fields(request: Request) -> dict[str, str]:
    """Read a form body; the first value of each name."""
    form = parse_qs(request.body.decode(), keep_blank_values=True)
    return {name: given[0] for name, given in form.items()}
