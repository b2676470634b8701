"""The sandbox delivers into a store, with copies as files, and serves every channel without keys."""

from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from activities.channels.adapter import Accepted, MaybeSent, OutgoingMessage, RenderedMessage
from activities.channels.registry import ChannelRegistry
from activities.channels.sandbox import SandboxAdapter, SandboxMessage
from activities.settings import ActivitySettings
from policy.verdict import Channel

CONTENT = RenderedMessage(
    text="Deine Lampe wartet – schön!",
    subject="Noch da, Ada?",
    html="<p>Deine Lampe wartet – schön!</p>",
    headers={"List-Unsubscribe": "<https://shop.example.com/unsubscribe/t>"},
)


class Shelf:
    """Keeps each message id once, as the sandbox's store must."""

    def __init__(self) -> None:
        self.kept: dict[str, SandboxMessage] = {}

    async def keep(self, message: SandboxMessage) -> None:
        self.kept.setdefault(message.message_id, message)


def files_below(folder: Path) -> list[Path]:
    return [place for place in folder.rglob("*") if place.is_file()]


async def broken(message: SandboxMessage) -> None:
    raise ConnectionError(f"no database for {message.to}")


async def test_a_mail_is_stored_as_the_customer_would_see_it() -> None:
    shelf = Shelf()

    accepted = await SandboxAdapter(Channel.EMAIL, shelf.keep).deliver(
        OutgoingMessage("m-1", "ada@example.com", CONTENT)
    )

    assert accepted == Accepted("sandbox-m-1")
    assert list(shelf.kept.values()) == [
        SandboxMessage(
            "m-1",
            Channel.EMAIL,
            "ada@example.com",
            CONTENT.text,
            CONTENT.subject,
            CONTENT.html,
            CONTENT.headers,
        )
    ]


async def test_a_mail_is_copied_as_eml_html_and_text(tmp_path: Path) -> None:
    sandbox = SandboxAdapter(Channel.EMAIL, Shelf().keep, sender="Lamps <hello@example.com>", folder=tmp_path)

    await sandbox.deliver(OutgoingMessage("m-1", "ada@example.com", CONTENT))

    folder = tmp_path / "email"
    assert sorted(file.name for file in folder.iterdir()) == ["m-1.eml", "m-1.html", "m-1.txt"]
    mail = message_from_bytes((folder / "m-1.eml").read_bytes(), policy=default)
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "Lamps <hello@example.com>",
        "ada@example.com",
        CONTENT.subject,
    )
    assert mail["List-Unsubscribe"] == CONTENT.headers["List-Unsubscribe"]
    parts = {part.get_content_type(): part.get_content().strip() for part in mail.iter_parts()}
    assert parts == {"text/plain": CONTENT.text, "text/html": CONTENT.html}
    assert (folder / "m-1.html").read_text() == CONTENT.html


async def test_a_text_message_is_copied_as_text_that_only_the_owner_reads(tmp_path: Path) -> None:
    sandbox = SandboxAdapter(Channel.SMS, Shelf().keep, folder=tmp_path)

    await sandbox.deliver(OutgoingMessage("m-1", "+4915112345678", RenderedMessage("Hallo – bis bald 👋")))

    assert [file.name for file in (tmp_path / "sms").iterdir()] == ["m-1.txt"]
    assert (tmp_path / "sms" / "m-1.txt").read_text() == "Hallo – bis bald 👋"
    assert (tmp_path / "sms").stat().st_mode & 0o077 == 0


async def test_delivering_again_changes_nothing(tmp_path: Path) -> None:
    shelf = Shelf()
    sandbox = SandboxAdapter(Channel.SMS, shelf.keep, folder=tmp_path)

    outcomes = [
        await sandbox.deliver(OutgoingMessage("m-1", "+49151", RenderedMessage("hi"))) for _ in range(3)
    ]

    assert outcomes == [Accepted("sandbox-m-1")] * 3
    assert len(shelf.kept) == 1
    assert len(list((tmp_path / "sms").iterdir())) == 1


async def test_a_store_that_fails_may_have_kept_it_and_the_failure_names_nobody() -> None:
    with pytest.raises(MaybeSent) as failure:
        await SandboxAdapter(Channel.SMS, broken).deliver(
            OutgoingMessage("m-1", "+49151", RenderedMessage("hi"))
        )

    assert str(failure.value) == "sandbox: ConnectionError while storing the message"
    assert failure.value.__cause__ is None


@pytest.mark.parametrize(
    ("message_id", "headers"),
    [
        pytest.param("../../escape", {}, id="an id that climbs out of the folder"),
        pytest.param("m-1", {"X-Note": "one\r\nBcc: all@example.com"}, id="a header of two lines"),
    ],
)
async def test_a_copy_that_cannot_be_written_is_logged_and_the_message_is_delivered(
    tmp_path: Path, message_id: str, headers: dict[str, str]
) -> None:
    shelf = Shelf()
    sandbox = SandboxAdapter(Channel.EMAIL, shelf.keep, folder=tmp_path / "copies")

    with capture_logs() as logs:
        await sandbox.deliver(
            OutgoingMessage(message_id, "ada@example.com", RenderedMessage("hi", headers=headers))
        )

    assert list(shelf.kept) == [message_id]
    assert [log["event"] for log in logs] == ["sandbox_copy_failed"]
    assert files_below(tmp_path) == []


async def test_a_folder_that_is_a_file_does_not_stop_delivery(tmp_path: Path) -> None:
    (tmp_path / "sms").write_text("in the way")
    shelf = Shelf()

    with capture_logs():
        await SandboxAdapter(Channel.SMS, shelf.keep, folder=tmp_path).deliver(
            OutgoingMessage("m", "+49", RenderedMessage("hi"))
        )

    assert list(shelf.kept) == ["m"]


def sandboxed(tmp_path: Path, **given: object) -> ActivitySettings:
    return ActivitySettings(data_dir=tmp_path, **given)  # type: ignore[arg-type]


async def test_without_keys_every_channel_is_a_sandbox_and_says_how_to_go_live(tmp_path: Path) -> None:
    shelf = Shelf()
    channels = ChannelRegistry.from_settings(sandboxed(tmp_path), shelf.keep, copies=True)

    for channel in Channel:
        adapter = channels.adapter(channel)
        assert (adapter.channel, adapter.provider) == (channel, "sandbox")
        await adapter.deliver(OutgoingMessage(f"m-{channel}", "someone", RenderedMessage("hi")))
    await channels.aclose()

    assert len(shelf.kept) == len(Channel)
    assert (tmp_path / "sandbox" / "sms" / "m-sms.txt").exists()
    assert channels.describe() == (
        "email: sandbox (set SENDGRID_API_KEY to send for real)",
        "sms: sandbox (set TWILIO_ACCOUNT_SID to send for real)",
        "push: sandbox (no provider is built in)",
        "ads: sandbox (no provider is built in)",
    )


async def test_without_copies_no_file_is_written(tmp_path: Path) -> None:
    channels = ChannelRegistry.from_settings(sandboxed(tmp_path), Shelf().keep)

    await channels.adapter(Channel.SMS).deliver(OutgoingMessage("m", "+49", RenderedMessage("hi")))

    assert files_below(tmp_path) == []


async def test_with_keys_the_providers_serve_and_no_line_shows_a_secret(tmp_path: Path) -> None:
    settings = sandboxed(
        tmp_path,
        sendgrid_api_key="SG.hidden",
        sendgrid_base_url="http://127.0.0.1:9",
        email_from="hello@example.com",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="hidden",
        twilio_base_url="http://127.0.0.1:9",
        twilio_from="+15005550006",
    )
    channels = ChannelRegistry.from_settings(settings, Shelf().keep)

    providers = [channels.adapter(channel).provider for channel in Channel]
    await channels.aclose()

    assert providers == ["sendgrid", "twilio", "sandbox", "sandbox"]
    assert channels.describe()[:2] == (
        "email: SendGrid at 127.0.0.1:9, from hello@example.com",
        "sms: Twilio at 127.0.0.1:9, from +15005550006",
    )
    assert "hidden" not in " ".join(channels.describe())
