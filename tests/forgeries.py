"""Events as somebody forges them who holds a public write key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any

from tests.forger import Victim

GRANTS = {"email": True, "sms": True, "push": True, "ads": True, "all": True}

Call = tuple[str, dict[str, Any]]
"""A path, and what is posted to it."""


def forgeries(count: int, victims: int, *, seed: int) -> list[Call]:
    """As many attacks of all shapes in turn, the same for the same seed."""
    draw = Random(seed)
    return [_SHAPES[n % len(_SHAPES)](_Forgery(n, draw, victims)) for n in range(count)]


class _Forgery:
    """One forged event in the making."""

    def __init__(self, number: int, draw: Random, victims: int) -> None:
        self.number, self.draw = number, draw
        self.victim, self.other = (Victim(one) for one in draw.sample(range(victims), 2))
        self.mine = {
            "user_id": f"mallory-{draw.randrange(5)}",
            "email": f"mallory-{draw.randrange(5)}@example.net",
            "anonymous_id": f"browser-{draw.randrange(5)}",
        }
        self.lies = {
            "email": self.mine["email"],
            "timezone": "Pacific/Kiritimati",
            "first_name": "<b>Mallory</b>",
            "consents": GRANTS,
        }

    @property
    def time(self) -> str:
        """Long ago, now, or yet to come."""
        days = self.draw.choice((-20_000, -800, -1, 0, 0, 0, 2, 20_000))
        return (datetime.now(UTC) + timedelta(days=days)).isoformat()

    def some(self) -> dict[str, str]:
        """One to all of what is known of the victim."""
        names = self.draw.sample(list(self.victim.known), self.draw.randint(1, 4))
        return {name: self.victim.known[name] for name in names}

    def native(self, identifiers: dict[str, Any], name: str = "Signed In", **more: Any) -> Call:
        event = {"id": f"forged-{self.number}", "type": name, "identifiers": identifiers, "time": self.time}
        return "/v1/events", event | more

    def call(self, path: str, **more: Any) -> Call:
        return path, {"messageId": f"forged-{self.number}", "timestamp": self.time} | more


def _identify(f: _Forgery) -> Call:
    return f.call(
        "/v1/identify", userId=f.victim.known["user_id"], anonymousId=f.mine["anonymous_id"], traits=f.lies
    )


def _own_user_with_their_address(f: _Forgery) -> Call:
    address = f.draw.choice(("email", "phone", "loyalty_id"))
    traits = f.lies | {address: f.victim.known[address]}
    return f.call("/v1/identify", userId=f.mine["user_id"], anonymousId=f.mine["anonymous_id"], traits=traits)


def _made_up_users_with_their_address(f: _Forgery) -> Call:
    """So many share the address, it seems, that it is nobody's."""
    address = f.draw.choice(("email", "phone", "loyalty_id", "email_sha256"))
    value = f.victim.known.get(address, sha256(f.victim.known["email"].encode()).hexdigest())
    crowd = [f.native({"user_id": f"made-up-{f.number}-{n}", address: value})[1] for n in range(12)]
    return "/v1/events", {"events": [one | {"id": f"forged-{f.number}-{n}"} for n, one in enumerate(crowd)]}


def _their_hash(f: _Forgery) -> Call:
    hashed = sha256(f.victim.known["email"].encode()).hexdigest()
    return f.native({"email_sha256": hashed, **f.mine}, traits=f.lies)


def _alias(f: _Forgery) -> Call:
    mine, theirs = f.mine["user_id"], f.draw.choice(list(f.some().items()))
    pair = [(mine, theirs[1]), (theirs[1], mine)][f.draw.randrange(2)]
    told = {"previous_id_type": f.draw.choice((theirs[0], "user_id"))}
    return f.call("/v1/alias", userId=pair[0], previousId=pair[1], context=told)


def _group(f: _Forgery) -> Call:
    traits = {"email": f.victim.known["email"], "consents": GRANTS}
    context = {"traits": {"email": f.victim.known["email"], "phone": f.victim.known["phone"]}}
    return f.call("/v1/group", userId=f.mine["user_id"], groupId="g", traits=traits, context=context)


def _batch(f: _Forgery) -> Call:
    calls = [
        {"type": kind, "messageId": f"forged-{f.number}-{kind}", "userId": f.victim.known["user_id"],
         "anonymousId": f.mine["anonymous_id"], "event": "Signed In", "traits": f.lies,
         "properties": {"email": f.mine["email"]}} for kind in ("identify", "track", "page", "screen")
    ]  # fmt: skip
    return "/v1/batch", {"batch": calls}


def _as_the_shop(f: _Forgery) -> Call:
    source = f.draw.choice(("shop", "api/till", "segment/shop", "pos/berlin-3", "waypost/consents"))
    return f.native(f.some() | f.mine, source=source, traits=f.lies)


def _as_waypost(f: _Forgery) -> Call:
    source = f.draw.choice(("waypost/consents", "waypost/preferences", "waypost/sweep", "Waypost/consents"))
    return f.native(f.some(), source=source, traits=f.lies)


def _cloud_event(f: _Forgery) -> Call:
    data = {"identifiers": f.mine, "traits": f.lies}
    event = {"specversion": "1.0", "id": f"forged-{f.number}", "source": "shop", "type": "Signed In"}
    return "/v1/events", event | {"subject": f"email:{f.victim.known['email']}", "data": data}


def _grant(f: _Forgery) -> Call:
    said = {"channel": f.draw.choice(list(GRANTS)), "state": "granted", "source": "desk"}
    return f.native(f.some(), "Consent Changed", properties=said)


def _traits_alone(f: _Forgery) -> Call:
    return f.native(f.some(), traits=f.lies)


def _replay(f: _Forgery) -> Call:
    event_id = f.draw.choice((f"login-{f.victim.number}", f"added-{f.victim.number}"))
    return f.native(f.some() | f.mine, id=event_id, source="shop", traits=f.lies)


def _two_customers(f: _Forgery) -> Call:
    theirs = {"email": f.other.known["email"], "loyalty_id": f.other.known["loyalty_id"]}
    return f.native({"user_id": f.victim.known["user_id"], **theirs}, traits=f.lies)


def _bad_token(f: _Forgery) -> Call:
    token = f.draw.choice(("1.9999999999.x.y", ["x"] * 8, {"user_id": f.victim.known["user_id"]}))
    return f.native(
        f.some() | f.mine, context={"waypost_token": token, "timezone": "Pacific/Apia"}, traits=f.lies
    )


_SHAPES: tuple[Callable[[_Forgery], Call], ...] = (
    *(_identify, _own_user_with_their_address, _made_up_users_with_their_address, _their_hash, _alias),
    *(_group, _batch, _as_the_shop, _as_waypost, _cloud_event, _grant, _traits_alone, _replay),
    *(_two_customers, _bad_token),
)
