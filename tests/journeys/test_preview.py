"""A preview: a scenario told to real code on virtual time, as a timeline, as values, and as a page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from authoring.preview.main import collect_result, format_result, to_json_values
from authoring.preview.page import render_page
from authoring.preview.runner import PreviewResult, load_scenario
from authoring.testing import Shop, StoryFailed
from journeys.registry import JourneyRegistry, load_journeys
from tests.support.environments.command import call_waypost, run_waypost
from tests.support.journeys.kit.stories import Basket, Misspelt, Parcel, Points, loyalty_points
from workers.errors import UserError

SHIPPED = sorted(load_journeys())

LEFT_BEHIND = """
shopper: {name: Ben, consents: {email: true, sms: true}}
products: {lamp: {name: Aria lamp}}
story:
  - adds: lamp
  - waits: 26h
"""


async def told(shop: Shop, path: Path, *journeys: type, effects: tuple[object, ...] = ()) -> PreviewResult:
    """What came of a scenario for the first of these journeys."""
    known = JourneyRegistry(journeys, effects)  # type: ignore[arg-type]
    name = next(iter(known))
    await load_scenario(path, known, name)(shop)
    return collect_result(shop, name, path.name, None)


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


async def test_a_scenario_is_told_in_words_and_as_values(shop: Shop, tmp_path: Path) -> None:
    found = await told(shop, written(tmp_path, LEFT_BEHIND), Basket, Parcel)

    lines = [" ".join(line.split()) for line in format_result(found).splitlines()]
    assert lines[0] == "Ben, by the clock of Europe/Berlin"
    assert 'day 1 13:00 basket sends email reminder: lamp "About Aria lamp"' in lines
    assert "day 2 13:00 basket sends sms offer: lamp" in lines
    assert lines[-1] == "basket ended as nudged; received: reminder (email), offer (sms)"
    values = json.loads(json.dumps(to_json_values(found)))
    assert [each["template"] for each in values["messages"]] == ["reminder", "offer"]
    assert [each["kind"] for each in values["timeline"]][:3] == ["event", "event", "enters"]
    assert values["outcome"] == "nudged"


async def test_only_the_journey_that_is_previewed_runs_unless_others_are_named(
    shop: Shop, tmp_path: Path
) -> None:
    text = "also_runs: [parcel]\nstory:\n- adds: lamp\n- buys: lamp"
    found = await told(shop, written(tmp_path, text), Basket, Parcel)

    assert found.outcome == "bought"
    assert list(found.received) == ["receipt"]


async def test_a_journey_named_beside_it_that_is_not_there_is_told(shop: Shop, tmp_path: Path) -> None:
    path = written(tmp_path, "also_runs: [parcle]\nstory:\n- adds: lamp")
    with pytest.raises(UserError, match="also_runs: no journey parcle; registered: basket, parcel"):
        await told(shop, path, Basket, Parcel)


async def test_what_cannot_be_done_names_the_line_and_what_happened_until_then_is_shown(
    shop: Shop, tmp_path: Path
) -> None:
    path = written(tmp_path, "story:\n- adds: lamp\n- clicks: reminder\n")
    with pytest.raises(UserError, match=r"mine\.yaml:3: Ada cannot click reminder: received nothing"):
        await told(shop, path, Basket)

    found = collect_result(shop, "basket", "mine.yaml", "mine.yaml:3: no")
    assert "Product Added: lamp" in format_result(found)
    assert '<p class="fault">mine.yaml:3: no</p>' in render_page(found)


async def test_an_activity_of_the_authors_own_is_not_run_and_its_answer_is_asked_for(
    shop: Shop, tmp_path: Path
) -> None:
    path = written(tmp_path, "story:\n- views: lamp\n")
    with pytest.raises(UserError, match=r"what it answers, as in `effects: \{loyalty_points: 250\}`"):
        await told(shop, path, Points, effects=(loyalty_points,))


async def test_the_answer_of_an_activity_comes_from_the_scenario(shop: Shop, tmp_path: Path) -> None:
    path = written(tmp_path, "effects: {loyalty_points: 250}\nstory:\n- views: lamp\n")

    assert (await told(shop, path, Points, effects=(loyalty_points,))).outcome == "rich"


async def test_a_scenario_in_python_is_told_to_a_shopper(shop: Shop, tmp_path: Path) -> None:
    text = "async def scenario(shopper):\n    await shopper.adds('lamp')\n    await shopper.removes('lamp')\n"

    assert (await told(shop, written(tmp_path, text, "mine.py"), Basket)).outcome == "emptied"


async def test_a_scenario_in_python_may_make_its_own_shopper(shop: Shop, tmp_path: Path) -> None:
    text = "async def scenario(shop):\n    ada = await shop.shopper(phone=None)\n    await ada.adds('lamp')\n"
    found = await told(shop, written(tmp_path, text, "mine.py"), Basket)

    assert "phone" not in shop.shoppers[0].identifiers
    assert found.outcome is None


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = 1", "has no `async def scenario"), ("def scenario(shopper): ...", "has no `async")],
)
def test_a_python_file_without_a_scenario_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_scenario(written(tmp_path, text, "mine.py"), JourneyRegistry((Basket,)), "basket")


async def test_a_story_with_a_mistake_is_told_as_its_own_error(shop: Shop, tmp_path: Path) -> None:
    path = written(tmp_path, "story:\n- views: lamp\n")
    with pytest.raises((UserError, StoryFailed), match="no template 'noet'"):
        await told(shop, path, Misspelt)


@pytest.mark.parametrize("journey", SHIPPED)
async def test_the_scenario_beside_every_shipped_journey_can_be_told_to_its_end(
    shop: Shop, journey: str
) -> None:
    journeys = load_journeys()
    await load_scenario(journeys[journey].folder / "preview.yaml", journeys, journey)(shop)
    found = collect_result(shop, journey, "preview.yaml", None)

    assert found.outcome is not None
    assert found.received


class _Page(HTMLParser):
    """What of a page would matter to a browser."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.frames: list[dict[str, str | None]] = []
        self.loads: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        if tag == "iframe":
            self.frames.append(dict(attrs))


async def test_the_page_shows_each_message_as_the_customer_sees_it_and_loads_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    text = LEFT_BEHIND.replace("Aria lamp", "<script>alert(1)</script>")
    found = await told(shop, written(tmp_path, text), Basket)
    shown = _Page(render_page(found))

    assert [frame["sandbox"] for frame in shown.frames] == ["allow-same-origin"]
    assert shown.frames[0]["srcdoc"] == found.received[0].html
    assert (shown.tags.count("script"), shown.loads) == (1, [])
    assert '<figure class="sms">' in render_page(found)
    assert "prefers-color-scheme: dark" in render_page(found)
    assert "Reply STOP to opt out" in render_page(found)


BROWSER = """#!/bin/sh
echo "$1" > "{seen}"
"""


@pytest.mark.timeout(200)
def test_the_command_brings_its_own_servers_sends_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    seen, browser, temporary = tmp_path / "seen", tmp_path / "browser", tmp_path / "temporary"
    browser.write_text(BROWSER.format(seen=seen))
    browser.chmod(0o755)
    temporary.mkdir(mode=0o755)
    environment: dict[str, Any] = {
        "TMPDIR": str(temporary),
        "BROWSER": f"{browser} %s",
        "DATABASE_URL": "postgresql://nobody:no@127.0.0.1:1/none",
        "SENDGRID_API_KEY": "SG.real",
        "EMAIL_FROM": "shop@example.com",
        "SENDGRID_BASE_URL": "http://127.0.0.1:1",
    }
    words = ("preview", "post-purchase", "--json", "--open", "--html", str(tmp_path / "seen.html"))
    done = run_waypost(*words, timeout=150, **environment)

    assert done.exit_code == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["messages"][0]["template"] == "order_confirmation"
    assert "Starting Postgres and Temporal" in done.stderr
    assert seen.read_text().strip() == (tmp_path / "seen.html").as_uri()
    assert "<h1>post-purchase</h1>" in (tmp_path / "seen.html").read_text()
    assert list(temporary.iterdir()) == []


@pytest.mark.timeout(200)
def test_the_command_goes_by_the_policy_of_the_shop(tmp_path: Path) -> None:
    path = written(tmp_path, LEFT_BEHIND)
    policy = written(tmp_path, 'kill_switches = ["email"]\n', "policy.toml")
    faulty = written(tmp_path, "holdout = 120\n", "faulty.toml")

    words = ("preview", "cart-abandonment", str(path), "--json")
    done = run_waypost(*words, timeout=150, WAYPOST_POLICY=str(policy))
    refused = call_waypost(*words, WAYPOST_POLICY=str(faulty))

    assert done.exit_code == 0, done.stdout + done.stderr
    assert "kill switch on for email" in done.stdout
    assert "email" not in {message["channel"] for message in json.loads(done.stdout)["messages"]}
    assert refused.exit_code == 1
    assert "holdout: expected a percentage from 0 to 100, got 120" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["nothing"],
            "no journey 'nothing'; registered: cart-abandonment, double-opt-in, post-purchase, win-back",
        ),
        (["win-back", "none.yaml"], "none.yaml cannot be read"),
        (["win-back", "none.py"], "there is no scenario none.py"),
    ],
)
def test_what_the_command_cannot_find_is_told_before_anything_starts(words: list[str], said: str) -> None:
    done = call_waypost("preview", *words)

    assert done.exit_code == 1
    assert said in done.stderr
    assert "Starting" not in done.stderr
