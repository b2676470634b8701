"""Loading message templates: every fault of every file, told at once, and names that are not there."""

from pathlib import Path

import pytest

from activities.content.context import ContentError, Links, RenderContext, ShopDetails
from activities.content.render import render_message
from activities.content.templates import TemplateRegistry, UnknownTemplate
from activities.content.validation import TemplateError
from policy.verdict import Channel, MessageClass

FOOTER = (
    '<mj-text>{{ shop.postal_address }} <a href="{{ links.unsubscribe_url | safe_url }}">Unsubscribe</a>'
    "</mj-text>"
)

MARKETING = 'class = "marketing"\nsubject = "Hello"\n'

SHOP = ShopDetails("S", "1 Street, Town", "https://s.example", "a@s.example")

LINKS = Links("https://s.example", None, "https://s.example/u", None, "https://s.example/u")


def _mail(inner: str, footer: str = FOOTER) -> str:
    return (
        f'<mjml lang="en"><mj-body><mj-section><mj-column>{inner}{footer}'
        "</mj-column></mj-section></mj-body></mjml>"
    )


def _write(root: Path, name: str, *, journey: str = "story", **files: str) -> Path:
    folder = root / "stories" / journey / name
    folder.mkdir(parents=True)
    names = {"toml": "message.toml", "mail": "email.mjml", "sms": "sms.txt"}
    for kind, text in files.items():
        (folder / names[kind]).write_text(text, "utf-8")
    return folder.parent


def _faults(*folders: Path) -> str:
    with pytest.raises(TemplateError) as caught:
        TemplateRegistry.load(folders)
    return str(caught.value)


def test_a_message_folder_becomes_a_template_with_the_channels_it_has_files_for(tmp_path: Path) -> None:
    journey = _write(
        tmp_path, "hello", toml=MARKETING, mail=_mail("<mj-text>Hi</mj-text>"), sms="Hi\nReply STOP to end"
    )

    template = TemplateRegistry.load([journey])["hello"]

    assert template.name == "hello"
    assert template.message_class is MessageClass.MARKETING
    assert template.topic == "marketing"
    assert template.channels == {Channel.EMAIL, Channel.SMS}


def test_an_unknown_name_says_which_one_was_meant_and_which_there_are(tmp_path: Path) -> None:
    _write(tmp_path, "cart_offer", toml=MARKETING, sms="STOP")
    journey = _write(tmp_path, "cart_reminder", toml=MARKETING, sms="STOP")
    templates = TemplateRegistry.load([journey])

    with pytest.raises(UnknownTemplate) as caught:
        templates["cart_remindr"]

    assert str(caught.value) == (
        "no template 'cart_remindr'; did you mean 'cart_reminder'? available: cart_offer, cart_reminder"
    )
    assert "cart_remindr" not in templates
    assert templates.get("cart_remindr") is None


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    journey = _write(tmp_path, "a_class", toml='class = "promo"\nsubjct = "x"\n', mail=_mail(""))
    _write(tmp_path, "b_subject", toml='class = "marketing"\n', mail=_mail(""))
    _write(tmp_path, "c_liquid", toml=MARKETING, mail=_mail("\n{% endfor %}"))
    _write(tmp_path, "d_footer", toml=MARKETING, mail=_mail("<mj-text>Hi</mj-text>", footer=""))
    _write(tmp_path, "e_sms", toml=MARKETING, sms="Hello")
    _write(tmp_path, "f_mjml", toml=MARKETING, mail="<mjml><mj-body><mj-section></mj-body></mjml>")

    told = _faults(journey)

    assert told.startswith("8 faults in message templates:\n  stories/story/a_class/message.toml: ")
    assert "a_class/message.toml: class: input should be 'marketing' or 'transactional', got 'promo'" in told
    assert "a_class/message.toml: subjct: unknown key; did you mean 'subject'?" in told
    assert "b_subject/message.toml: subject: missing, and there is an email" in told
    assert "c_liquid/email.mjml:2: unexpected tag 'endfor'" in told
    assert "d_footer/email.mjml: with every value given: marketing mail without the postal address" in told
    assert "d_footer/email.mjml: with every value given: marketing mail without an unsubscribe link" in told
    assert "e_sms/sms.txt: with every value given: marketing SMS without a way out" in told
    assert "f_mjml/email.mjml: with every value given: MJML: unexpected" in told


@pytest.mark.parametrize(
    ("inner", "fault"),
    [
        pytest.param(
            "\n{{ frist_name }}", "email.mjml:2: no value 'frist_name'; there is:", id="unknown name"
        ),
        pytest.param(
            "{% if false %}{{ shop.nmae }}{% endif %}", "no value shop.nmae", id="in a branch not taken"
        ),
        pytest.param(
            "{{ extra.code }}", "extra.code is not declared; add [extra.code]", id="undeclared value"
        ),
        pytest.param(
            "{{ first_name | upcse }}", "no filter 'upcse'; did you mean 'upcase'?", id="unknown filter"
        ),
        pytest.param(
            "{% for i in items %}{{ i.colour }}{% endfor %}", "colour", id="unknown field of an item"
        ),
        pytest.param(
            "{{ items_total | money }}", "money expects a number, got a NoneType", id="unguarded amount"
        ),
        pytest.param("<mj-buton>x</mj-buton>", "<mj-buton> is no MJML element", id="unknown element"),
        pytest.param('<mj-include path="x.mjml" />', "mj-include is refused", id="included file"),
        pytest.param('{% include "x" %}', "unexpected tag 'include'", id="liquid include"),
        pytest.param('{% render "nowhere.mjml" %}', "nowhere.mjml", id="missing partial"),
    ],
)
def test_a_template_that_would_fail_on_some_customer_is_refused_at_start(
    tmp_path: Path, inner: str, fault: str
) -> None:
    assert fault in _faults(_write(tmp_path, "m", toml=MARKETING, mail=_mail(inner)))


@pytest.mark.parametrize(
    "link",
    [
        pytest.param('href="{{ links.cart_url }}"', id="no filter"),
        pytest.param("src='{{ items[0].image_url }}'", id="single quotes"),
        pytest.param('href="{{ links.cart_url | safe_url | append: links.shop_url }}"', id="filter not last"),
        pytest.param('href="https://s.example/{{ extra }}"', id="only a part of the address"),
        pytest.param('href="{{ a | safe_url }}{{ b }}"', id="a second output behind"),
        pytest.param('href="{% if x %}javascript:1{% endif %}"', id="a tag inside"),
        pytest.param('background-url="{{ links.cart_url }}"', id="background"),
        pytest.param("href={{ links.cart_url }}", id="no quotes"),
        pytest.param('href="javascript:alert(1)"', id="written out"),
        pytest.param('style="background:url({{ links.cart_url }})"', id="in a style"),
    ],
)
def test_a_link_that_goes_past_safe_url_is_refused_with_its_line(tmp_path: Path, link: str) -> None:
    told = _faults(
        _write(tmp_path, "m", toml=MARKETING, mail=_mail(f"\n\n<mj-text><a {link}>x</a></mj-text>"))
    )

    assert "email.mjml:3: " in told


def test_a_fault_in_a_layout_is_told_once_with_the_layout_s_own_name(tmp_path: Path) -> None:
    layouts = tmp_path / "stories" / "layouts"
    layouts.mkdir(parents=True)
    (layouts / "row.mjml").write_text('<mj-text>\n<a href="{{ links.cart_url }}">x</a></mj-text>', "utf-8")
    for name in ("one", "two"):
        journey = _write(tmp_path, name, toml=MARKETING, mail=_mail('{% render "row.mjml" %}'))

    told = _faults(journey)

    assert told.count("stories/layouts/row.mjml:2: ") == 1
    assert told.startswith("1 fault in message templates:")


def test_the_same_name_in_two_journeys_is_refused(tmp_path: Path) -> None:
    first = _write(tmp_path, "hello", journey="first", toml=MARKETING, sms="STOP")
    second = _write(tmp_path, "hello", journey="second", toml=MARKETING, sms="STOP")

    assert "second/hello/message.toml: a second template 'hello'; the first is in first/" in _faults(
        first, second
    )


BOMBS = (
    "{% for i in (1..100000000) %}x{% endfor %}",
    "{% for i in (1..200) %}{% for j in (1..200) %}x{% endfor %}{% endfor %}",
    '{% assign x = "xxxxxxxxxx" %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}',
)

HIDDEN_FOOTER = FOOTER.replace("<a ", '<a style="display: none" ')


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        pytest.param(
            {"toml": MARKETING, "mail": _mail("", HIDDEN_FOOTER)},
            "without an unsubscribe link",
            id="an unsubscribe link that nobody can see",
        ),
        pytest.param(
            {"toml": MARKETING, "sms": "word " * 70 + "STOP"}, "3 SMS segments, at most 2", id="a long SMS"
        ),
        pytest.param(
            {"toml": MARKETING, "mail": _mail(f"<mj-text>{'word ' * 21_000}</mj-text>")},
            "Gmail cuts a mail off at 102 KiB",
            id="a long mail",
        ),
        pytest.param({"sms": "STOP"}, "m: has sms.txt but no message.toml; add one", id="no manifest"),
        pytest.param({"toml": MARKETING}, "no channel; add email.mjml or sms.txt", id="no message"),
        pytest.param(
            {"toml": 'class = "transactional"\ntopic = "reviews"\n', "sms": "Hi"},
            "topic: a transactional message has no topic to opt out of, got 'reviews'",
            id="a transactional message with a topic",
        ),
        *(pytest.param({"toml": MARKETING, "mail": _mail(bomb)}, "limit reached", id=bomb) for bomb in BOMBS),
    ],
)
def test_a_message_that_no_customer_should_get_is_refused(
    tmp_path: Path, files: dict[str, str], fault: str
) -> None:
    assert fault in _faults(_write(tmp_path, "m", **files))


def test_a_list_that_grows_past_the_limit_at_run_time_is_a_content_error(tmp_path: Path) -> None:
    toml = MARKETING + "[extra.n]\nsample = 3\n"
    journey = _write(tmp_path, "m", toml=toml, sms="{% for i in (1..extra.n) %}.{% endfor %} STOP")
    template = TemplateRegistry.load([journey])["m"]

    with pytest.raises(ContentError, match="limit reached"):
        render_message(template, Channel.SMS, RenderContext(SHOP, LINKS, extra={"n": 10_000_000}))


def test_loading_again_picks_up_changes(tmp_path: Path) -> None:
    journey = _write(tmp_path, "m", toml=MARKETING, sms="Old. STOP")
    TemplateRegistry.load([journey])
    (journey / "m" / "sms.txt").write_text("New. STOP", "utf-8")

    template = TemplateRegistry.load([journey])["m"]

    assert render_message(template, Channel.SMS, RenderContext(SHOP, LINKS)).text == "New. STOP"


@pytest.mark.parametrize("extra", [{}, {"n": None}])
def test_a_required_value_the_story_left_out_is_named(tmp_path: Path, extra: dict[str, object]) -> None:
    toml = MARKETING + "[extra.n]\nsample = 3\nrequired = true\n"
    template = TemplateRegistry.load([_write(tmp_path, "m", toml=toml, sms="{{ extra.n }} STOP")])["m"]

    with pytest.raises(ContentError, match=r"template 'm' needs n; pass it in context=\{…\} of send\(\)"):
        render_message(template, Channel.SMS, RenderContext(SHOP, LINKS, extra=extra))
