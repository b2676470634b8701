"""Settings of providers, sender and shop, from the environment. Unsafe settings are rejected by name."""

import re
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from email_validator import EmailNotValidError, validate_email
from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from policy.config.settings import PolicySettings
from policy.facts import FirstContactLimits
from profiles.consent.declarations import CONFIRMABLE_CHANNELS
from profiles.sweeps.opt_in_requests import OptInRules

MIN_SECRET_LENGTH = 32
"""Minimum length of a signing secret, in characters."""

_HOST_PATTERN = re.compile(r"(?i)[a-z0-9-]+(\.[a-z0-9-]+)*")

_TWILIO_FORMATS = {
    "twilio_account_sid": (r"AC[0-9a-fA-F]{32}", "AC and 32 hex digits"),
    "twilio_messaging_service_sid": (r"MG[0-9a-fA-F]{32}", "MG and 32 hex digits"),
    "twilio_from": (
        r"\+[1-9]\d{6,14}|\d{3,8}|[A-Za-z0-9 +_&-]{1,11}",
        "a number such as +15005550006, a short code, or a name of at most 11 characters",
    ),
}
"""Setting → pattern of its values, and the pattern in words."""


def _env_field(name: str, default: Any = None) -> Any:
    return Field(default=default, validation_alias=name)


class ActivitySettings(PolicySettings):
    """Settings from the environment. Construction raises an error that names the faulty variables.

    Without ``SENDGRID_API_KEY`` email goes to the sandbox. Without ``TWILIO_ACCOUNT_SID`` so does SMS.
    Errors never contain the values of secrets.
    """

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    sendgrid_api_key: SecretStr | None = _env_field("SENDGRID_API_KEY")
    sendgrid_base_url: str = _env_field("SENDGRID_BASE_URL", "https://api.sendgrid.com")
    email_from: str | None = _env_field("EMAIL_FROM")
    """``hello@example.com`` or ``Lamps <hello@example.com>``."""

    twilio_account_sid: str | None = _env_field("TWILIO_ACCOUNT_SID")
    twilio_auth_token: SecretStr | None = _env_field("TWILIO_AUTH_TOKEN")
    twilio_base_url: str = _env_field("TWILIO_BASE_URL", "https://api.twilio.com")
    twilio_from: str | None = _env_field("TWILIO_FROM")
    """An E.164 number, a short code, or an alphanumeric sender of up to 11 characters."""
    twilio_messaging_service_sid: str | None = _env_field("TWILIO_MESSAGING_SERVICE_SID")

    public_url: str = _env_field("PUBLIC_URL", "http://127.0.0.1:8000")
    """URL of the API for links in messages and for callbacks of providers; without a slash at the end."""
    default_timezone: str = _env_field("DEFAULT_TIMEZONE", "UTC")
    data_dir: Path = _env_field("WAYPOST_DATA_DIR", Path(".waypost"))

    shop_name: str = _env_field("WAYPOST_SHOP_NAME", "Example Shop")
    shop_address: str = _env_field("WAYPOST_SHOP_ADDRESS", "1 Example Street, 10115 Berlin")
    """Postal address, which the law requires in every marketing mail."""
    shop_url: str = _env_field("WAYPOST_SHOP_URL", "https://shop.example.com")
    shop_hosts: Annotated[tuple[str, ...], NoDecode] = _env_field("WAYPOST_SHOP_HOSTS", ())
    """Further hosts to which links of items may lead, separated by commas."""
    shop_support_email: str = _env_field("WAYPOST_SHOP_SUPPORT_EMAIL", "help@example.com")
    shop_currency: str = _env_field("WAYPOST_SHOP_CURRENCY", "EUR")
    """ISO 4217, e.g. EUR."""

    double_opt_in: Annotated[tuple[str, ...], NoDecode] = _env_field("WAYPOST_DOUBLE_OPT_IN", ())
    """Channels on which an address that only a page has named is asked to confirm a consent: email, sms."""
    first_contacts_per_hour: int = _env_field("WAYPOST_FIRST_CONTACTS_PER_HOUR", 500)
    """Messages an hour, of either class, to addresses that no verified event has named."""
    first_contacts_per_key: int = _env_field("WAYPOST_FIRST_CONTACTS_PER_KEY", 250)
    """The same for each label of a key, with which the event that started the journey was sent."""
    sms_countries: Annotated[tuple[str, ...], NoDecode] = _env_field("WAYPOST_SMS_COUNTRIES", ())
    """Countries, beside ``DEFAULT_REGION``, to which a number that no verified event has named gets SMS."""
    default_region: str = _env_field("DEFAULT_REGION", "")
    """The shop's own country."""

    secrets: Annotated[tuple[SecretStr, ...], NoDecode] = _env_field("WAYPOST_SECRETS", ())
    """Secrets of preference links: the first signs, all verify. Separated by commas in the environment."""

    @field_validator("shop_hosts", "secrets", "double_opt_in", "sms_countries", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in re.split(r"[,\s]+", value) if part)
        return value

    @field_validator("shop_hosts")
    @classmethod
    def _bare_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [host for host in value if not _HOST_PATTERN.fullmatch(host)]
        if wrong:
            raise ValueError(f"expected hosts such as www.example.com, got {', '.join(map(repr, wrong))}")
        return tuple(host.lower().removeprefix("www.") for host in value)

    @field_validator("double_opt_in")
    @classmethod
    def _known_channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        named = tuple(channel.lower() for channel in value)
        if named == ("off",):
            return ()
        if unknown := [channel for channel in named if channel not in CONFIRMABLE_CHANNELS]:
            raise ValueError(
                f"expected off, or one or more of {', '.join(CONFIRMABLE_CHANNELS)}; "
                f"got {', '.join(map(repr, unknown))}"
            )
        return tuple(dict.fromkeys(named))

    @field_validator("first_contacts_per_hour", "first_contacts_per_key")
    @classmethod
    def _not_negative(cls, value: int) -> int:
        if value < 0:
            raise ValueError(f"expected 0 messages an hour or more, got {value}; 0 sends none")
        return value

    @field_validator("sms_countries")
    @classmethod
    def _known_countries(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        codes = tuple(country.upper() for country in value)
        if unknown := [code for code in codes if code not in SUPPORTED_REGIONS]:
            raise ValueError(f"expected countries such as DE or AT, got {', '.join(map(repr, unknown))}")
        return codes

    @property
    def first_contact_limits(self) -> FirstContactLimits:
        """The limits of messages to addresses that no verified event has named."""
        own = (self.default_region.upper(),) if self.default_region else ()
        return FirstContactLimits(
            self.first_contacts_per_hour, self.first_contacts_per_key, countries=(*own, *self.sms_countries)
        )

    @property
    def opt_in_rules(self) -> OptInRules:
        """The rules of the sweep that has addresses asked."""
        return OptInRules(self.double_opt_in, self.first_contacts_per_hour, self.first_contacts_per_key)

    @field_validator("secrets")
    @classmethod
    def _strong_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        short = [n for n, secret in enumerate(value, 1) if len(secret.get_secret_value()) < MIN_SECRET_LENGTH]
        if short:
            raise ValueError(
                f"each of WAYPOST_SECRETS needs at least {MIN_SECRET_LENGTH} characters, number "
                f"{', '.join(map(str, short))} has fewer; make one by "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return value

    @field_validator("sendgrid_base_url", "twilio_base_url", "public_url", "shop_url")
    @classmethod
    def _bare_url(cls, value: str) -> str:
        url = urlsplit(value)
        is_web = url.scheme in ("http", "https") and url.hostname
        if not is_web or url.query or url.fragment or url.username:
            raise ValueError("expected an address such as https://shop.example.com, without ? or #")
        return value.rstrip("/")

    @field_validator("email_from")
    @classmethod
    def _valid_sender(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            validate_email(parseaddr(value)[1], check_deliverability=False, test_environment=True)
        except EmailNotValidError as exc:
            raise ValueError(f"expected 'Lamps <hello@example.com>': {exc}") from None
        return value

    @field_validator("default_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError(f"expected an IANA zone such as Europe/Berlin, got {value!r}") from None
        return value

    @field_validator("shop_currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Z]{3}", value):
            raise ValueError(f"expected an ISO 4217 code such as EUR, got {value!r}")
        return value

    @model_validator(mode="after")
    def _check_providers(self) -> Self:
        faults = [*self._sendgrid_faults(), *self._twilio_faults()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _sendgrid_faults(self) -> list[str]:
        if self.sendgrid_api_key is None:
            return []
        faults = _cleartext_faults("SENDGRID_BASE_URL", self.sendgrid_base_url)
        if self.email_from is None:
            faults.append(
                "SENDGRID_API_KEY is set but EMAIL_FROM is not: set EMAIL_FROM to a sender that SendGrid "
                "has verified, e.g. 'Lamps <hello@example.com>'"
            )
        if _is_local_url(self.sendgrid_base_url):
            return faults
        if not self.public_url.startswith("https://"):
            faults.append(
                "SENDGRID_API_KEY is set but PUBLIC_URL is not https: mail programs must reach the "
                "one-click unsubscribe link there (RFC 8058)"
            )
        if "shop_address" not in self.model_fields_set:
            faults.append(
                "SENDGRID_API_KEY is set but WAYPOST_SHOP_ADDRESS is not: marketing mail must carry the "
                "shop's postal address"
            )
        return faults

    def _twilio_faults(self) -> list[str]:
        if self.twilio_account_sid is None:
            if self.twilio_auth_token is None:
                return []
            return ["TWILIO_AUTH_TOKEN is set but TWILIO_ACCOUNT_SID is not: set both, or neither"]
        faults = _cleartext_faults("TWILIO_BASE_URL", self.twilio_base_url)
        if self.twilio_auth_token is None:
            faults.append("TWILIO_ACCOUNT_SID is set but TWILIO_AUTH_TOKEN is not: set both, or neither")
        if self.twilio_messaging_service_sid is None and self.twilio_from is None:
            faults.append(
                "TWILIO_ACCOUNT_SID is set but no sender: set TWILIO_FROM to a number of the account, "
                "or TWILIO_MESSAGING_SERVICE_SID"
            )
        if not _is_local_url(self.twilio_base_url):
            faults += [
                f"{name.upper()} must be {form}"
                for name, (pattern, form) in _TWILIO_FORMATS.items()
                if (value := getattr(self, name)) is not None and not re.fullmatch(pattern, value)
            ]
        return faults


def _cleartext_faults(name: str, url: str) -> list[str]:
    """Return a fault for http where the key would cross a network; a host without a dot is a container's."""
    if url.startswith("https://") or _is_local_url(url):
        return []
    return [f"{name} must be https, got {url}: the key would travel in the clear"]


def _is_local_url(url: str) -> bool:
    host = urlsplit(url).hostname
    return is_loopback(host) or (host is not None and "." not in host and ":" not in host)


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address (RFC 5735, 4291, 6761) is this machine; True for no host."""
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
