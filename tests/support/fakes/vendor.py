"""Judges a request by the vendor's own OpenAPI description, where a copy of it is at hand."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.support.fakes.http import Request
from tests.support.fakes.twilio import fields


def vendor_file(name: str) -> Path:
    """Find a file of the vendors' material, or skip the test and say what to set."""
    beside = Path(__file__).resolve().parents[3].parent / "shared"
    place = Path(os.environ.get("WAYPOST_SHARED") or beside) / "vendor" / name
    if not place.exists():
        pytest.skip(f"no vendor material: set WAYPOST_SHARED to a folder that has vendor/{name}")
    return place


def vendor_json(name: str) -> Any:
    """Read a JSON file of the vendors' material, or skip the test."""
    return json.loads(vendor_file(name).read_text(encoding="utf-8"))


def sendgrid_complaints(request: Request) -> list[str]:
    """List what SendGrid's description finds wrong with a mail/send request."""
    document = vendor_json("tsg_mail_v3.json")
    if request.path not in document["paths"]:
        return [f"no such path: {request.path}"]
    body = document["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
    schema = {**body, "components": document["components"]}
    mail = json.loads(request.body)
    unknown = sorted(mail.keys() - body["properties"].keys())
    errors = jsonschema_rs.Draft7Validator(schema).iter_errors(mail)
    return [*(f"unknown field {name}" for name in unknown), *(error.message for error in errors)]


def twilio_complaints(request: Request) -> list[str]:
    """List what Twilio's description finds wrong with a request that creates a message."""
    document = vendor_json("twilio_api_v2010.json")
    create = document["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]
    schema = create["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    form: dict[str, Any] = dict(fields(request))
    for name, value in form.items():
        if schema["properties"].get(name, {}).get("type") == "integer":
            form[name] = int(value)
    unknown = sorted(form.keys() - schema["properties"].keys())
    schema = {**schema, "components": document["components"]}
    errors = jsonschema_rs.Draft7Validator(schema).iter_errors(form)
    return [*(f"unknown parameter {name}" for name in unknown), *(error.message for error in errors)]
