"""HEAD on every path that has GET: the answer of GET without its body (RFC 9110, section 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import METHOD_AS_SENT


class HeadMiddleware:
    """Answers HEAD with the status and headers of GET. Load balancers and uptime checks ask so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD request on as GET, and leave the body of the answer out."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET", METHOD_AS_SENT: "HEAD"}, receive, send_without_body)
