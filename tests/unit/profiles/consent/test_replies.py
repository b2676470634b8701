"""What answers to text messages mean: every keyword, every kind of doubt, and what is none of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.consent.replies import (
    MAX_REPLY_LENGTH,
    START_KEYWORDS,
    STOP_KEYWORDS,
    ReplyIntent,
    classify_reply,
    reply_text,
)

STOPS = (
    *("STOP", "stop", "Stop.", "STOP!!!", " stop ", "sToP\n", '"STOP"', "S T O P", "s.t.o.p", "st op"),
    *("STOP 🛑", "🙏 stop", "ＳＴＯＰ", "st\u200bop", "stop stop stop", "STOPALL", "stop all", "UNSUBSCRIBE"),
    *("Unsubscribe please", "CANCEL", "cancel!", "END", "end", "Quit", "revoke", "REVOKE"),
    *("OPTOUT", "opt out"),
    *("Opt-Out", "OPT OUT PLS", "please stop", "Stop, thanks", "stop now", "stop sms", "stop end"),
    *("STOPP", "Stopp bitte", "ABMELDEN", "Abmeldung", "abbestellen", "kündigen", "Widerruf", "Ende"),
    *("ARRET", "arrêt", "ARRÊT svp", "Arrêter", "désabonner", "désinscription", "résilier", "FIN"),
    *("ALTO", "Baja", "BAJA por favor", "dar de baja", "darme de baja", "Cancelar", "parar", "detener"),
    *("annulla", "Cancella", "disiscrivimi", "basta", "Basta!", "revoca"),
    *("STOPPEN", "afmelden", "uitschrijven aub", "opzeggen", "sair", "SAIR", "descadastrar", "fim"),
)

DOUBTFUL = (
    *("please stop texting me", "Stop texting me!!", "leave me alone", "LEAVE ME ALONE", "wrong number"),
    *("Wrong number, sorry", "who is this stop", "who is this", "Who's this?", "who are you?", "stop it"),
    *("STOP sending me these", "make it stop", "don't stop", "can you remove me", "take me off your list"),
    *("do not text me", "Don’t text this number", "dont contact me again", "no more texts", "No more!"),
    *("not interested", "Not interested, thank you", "lose my number", "this is spam", "SPAM", "scam"),
    *("I never signed up for this", "fuck off", "go away", "enough already", "I will call my lawyer"),
    *("unsubscibe", "unsubscribed", "UNSUB", "unsuscribe", "stpo", "st0p", "stopped"),
    *("yes stop", "yes, stop"),
    *("I want to opt out of these", "please cancel my subscription"),
    *("cancel my order", "I revoke my consent"),
    *("stop by the shop tomorrow?", "is there a bus stop?", "this is my new number", "No"),
    *("nope", "no thanks"),
    *(
        "un stop",
        "🛑",
        "🖕",
        "🚫🚫",
        "🛑 start",
        "nein",
        "Nein danke",
        "Non merci",
        "no gracias",
        "nee bedankt",
    ),
    *("Lass mich in Ruhe", "Lassen Sie mich in Ruhe!", "falsche Nummer", "Wer ist das?", "keine SMS mehr"),
    *("hör auf", "Hören Sie auf mir zu schreiben", "kein Interesse", "bitte nicht mehr schreiben"),
    *("bitte abmelden von dieser liste", "Belästigung", "bitte löschen"),
    *("laissez-moi tranquille", "mauvais numéro", "plus de SMS", "ne m'envoyez plus rien", "qui est-ce ?"),
    *("c'est qui", "pas intéressé", "arrêtez de m'écrire"),
    *("déjame en paz", "número equivocado", "¿quién es?", "no me interesa"),
    *("no más mensajes", "no quiero más"),
    *("quiero darme de baja", "ya basta"),
    *("lasciami in pace", "numero sbagliato", "chi è?", "non mi interessa", "smettetela"),
    *("laat me met rust", "verkeerd nummer", "wie is dit?", "geen sms meer", "hou op"),
    *("me deixe em paz", "número errado", "quem é?", "não quero", "pare de me mandar mensagem"),
)

STARTS = ("START", "start", "Start!", "start 😀", "YES", "yes", "Yes.", "UNSTOP")

NOTHINGS = (
    *("", "   ", "😀", "👍", "HELP", "help", "INFO", "thanks!", "Thank you", "ok", "OK cool", "great lamp"),
    *("yes please", "yes I bought it", "When does it ship?", "is the lamp still there?", "start over"),
    *("at the end of the week", "in the end I bought it", "How much is shipping to the weekend house?"),
    *("see you at the shop", "top!", "step by step", "who makes this lamp?", "I love it", "42"),
    *("ja", "danke"),
    *("am Ende der Woche", "quelle heure ?", "cuándo llega", "quando arriva", "wanneer komt het", "12345"),
)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        *((ReplyIntent.STOP, text) for text in STOPS),
        *((ReplyIntent.DOUBTFUL, text) for text in DOUBTFUL),
        *((ReplyIntent.START, text) for text in STARTS),
        *((ReplyIntent.UNRELATED, text) for text in NOTHINGS),
    ],
)
def test_a_reply_is_read_as_a_person_would_read_it(expected: ReplyIntent, text: str) -> None:
    assert classify_reply(text) is expected


@given(
    st.sampled_from(sorted(STOP_KEYWORDS)), st.sampled_from(["", " ", ".", "!", "\n", "\u200d", "❤️", " 🙂 "])
)
def test_what_stands_around_a_keyword_changes_nothing(keyword: str, around: str) -> None:
    assert classify_reply(f"{around}{keyword.upper()}{around}") is ReplyIntent.STOP


@given(st.text(max_size=200), st.sampled_from(["stop", "unsubscribe", "opt out", "Abmelden", "désabonner"]))
def test_nothing_that_has_the_word_in_it_is_ever_passed_over(text: str, word: str) -> None:
    assert classify_reply(f"{word} {text}") in (ReplyIntent.STOP, ReplyIntent.DOUBTFUL)


def test_no_word_both_stops_and_starts() -> None:
    assert frozenset() == START_KEYWORDS & STOP_KEYWORDS


def test_a_text_without_end_is_read_up_to_its_limit() -> None:
    assert classify_reply("a" * MAX_REPLY_LENGTH + " stop") is ReplyIntent.UNRELATED


@pytest.mark.parametrize(
    ("expected", "properties"),
    [
        ("STOP", {"text": "STOP"}),
        ("STOP", {"body": "STOP"}),
        ("STOP", {"text": " ", "body": "STOP"}),
        ("", {"text": 7, "body": ["STOP"]}),
        ("", {}),
    ],
)
def test_the_text_of_a_reply_is_its_text_else_its_body(expected: str, properties: dict[str, object]) -> None:
    assert reply_text(properties) == expected
