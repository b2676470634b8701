"""The bodies that a browser's unmodified client sends, and those of a backend beside it."""

from collections.abc import Mapping
from typing import Any

BROWSER_ANONYMOUS_ID = "a5f8a6f1-9a41-4f4e-8d0e-3c1f2b6a9d77"


def browser_call(kind: str, message_id: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return (path, body) of one call as the browser client of the Segment API sends it."""
    context = {
        "page": {
            "path": "/cart",
            "referrer": "https://shop.example/",
            "search": "",
            "title": "Cart",
            "url": "https://shop.example/cart",
        },
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
        "userAgentData": {"brands": [{"brand": "Chromium", "version": "131"}], "mobile": False},
        "locale": "de-DE",
        "library": {"name": "analytics.js", "version": "next-1.76.0"},
        "timezone": "Europe/Berlin",
    }
    body = {
        "anonymousId": BROWSER_ANONYMOUS_ID,
        "type": kind,
        "messageId": f"ajs-next-{message_id}",
        "integrations": {},
        "context": context,
        "writeKey": "write-key-of-tests",
        "_metadata": {"bundled": [], "unbundled": [], "bundledIds": []},
        **fields,
    }
    return f"/v1/{kind[0]}", body


def backend_call(kind: str, message_id: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return (path, body) of one call as a backend's client sends it."""
    library: Mapping[str, str] = {"name": "analytics-node", "version": "2.2.1"}
    call = {"type": kind, "messageId": f"node-next-{message_id}", "context": {"library": library}, **fields}
    return "/v1/batch", {"batch": [call]}
