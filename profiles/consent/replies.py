"""Intent of a reply to a text message: stop, possibly stop, start again, or nothing. Pure.

47 CFR 64.1200(a)(10) names stop, quit, end, revoke, opt out, cancel and unsubscribe, and takes any other
reasonable words for a revocation as well. So a text that may mean one counts as one, and is reviewed.
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from profiles.consent import evidence

REPLY_CHANNEL = "sms"

REPLY_TOPIC = "all"
"""Carriers and the law treat STOP as a withdrawal of every message to that number."""

MAX_REPLY_LENGTH = 2_000
"""Number of characters that are read."""


class ReplyIntent(StrEnum):
    """What a reply means."""

    STOP = "stop"
    DOUBTFUL = "doubtful"
    """It may mean stop."""
    START = "start"
    UNRELATED = "nothing"


METHOD_BY_INTENT = {
    ReplyIntent.STOP: evidence.KEYWORD_METHOD,
    ReplyIntent.DOUBTFUL: evidence.DOUBTFUL_METHOD,
    ReplyIntent.START: evidence.RESTART_METHOD,
}
"""Method of each intent in the ledger. ``UNRELATED`` is not entered."""

STOP_KEYWORDS = frozenset(
    (
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"),
        *("stopp", "abmelden", "abmeldung", "abbestellen", "austragen", "beenden", "kundigen", "kuendigen"),
        *("widerruf", "widerrufen", "ende"),
        *("arret", "arreter", "arretez", "desabonner", "desabonnement", "desinscrire", "desinscription"),
        *("resilier", "fin"),
        *("alto", "baja", "dardebaja", "darmedebaja", "cancelar", "parar", "detener", "salir", "desuscribir"),
        *("annulla", "cancella", "cancellami", "disiscrivi", "disiscrivimi", "basta", "revoca"),
        *("stoppen", "afmelden", "uitschrijven", "opzeggen", "einde"),
        *("pare", "sair", "descadastrar", "fim"),
    )
)
"""Each is an opt-out if it is the whole text. In English, German, French, Spanish, Italian, Dutch and
Portuguese, in small letters, without accents and blanks."""

START_KEYWORDS = frozenset(("start", "unstop", "yes"))

_COURTESY_WORDS = frozenset(
    (
        *("please", "pls", "plz", "thanks", "thank", "you", "thx", "ty", "now", "sms"),
        *("bitte", "danke", "svp", "merci", "por", "favor", "gracias", "per", "favore", "grazie"),
        *("aub", "alstublieft", "alsjeblieft", "bedankt", "obrigado", "obrigada"),
    )
)
"""Words that do not change the intent."""

_NEGATIONS = frozenset(("no", "nope", "nah", "nein", "non", "nee", "nao"))
"""Alone, they may answer a question or refuse all messages."""

_OPT_OUT_PREFIXES = (
    *("stop", "unsub", "unsus", "unsc", "optout", "cancel", "revok", "quit", "spam", "harass", "scam"),
    *("abmeld", "abbestell", "austrag", "kundig", "kuendig", "widerruf", "belastig", "belaestig", "loschen"),
    *("arret", "desabonn", "desinscri", "resili", "harcel", "suppr"),
    *("desuscri", "suscripcion", "disiscri", "cancell", "annull", "descadastr", "smett"),
    *("afmeld", "uitschrijf", "uitschrijv", "opzeg"),
)
"""A word with such a prefix may mean an opt-out, whatever the other words are."""

_OPT_OUT_WORDS = frozenset(
    (
        *("stpo", "sotp", "stoop", "stp", "st0p", "stob", "sto", "stio", "unsub", "lawyer", "sue", "illegal"),
        *("fuck", "remove", "baja", "basta", "parar", "pare", "parem", "sair", "dejen", "remover"),
    )
)

_OPT_OUT_PHRASES = (
    *("opt out", "opt me out", "leave me alone", "leave us alone", "go away", "wrong number", "wrong person"),
    *(
        "who is this",
        "who s this",
        "whos this",
        "who are you",
        "take me off",
        "off your list",
        "off the list",
    ),
    *("do not text", "don t text", "dont text", "do not contact", "don t contact", "dont contact"),
    *("do not message", "don t message", "dont message", "do not want", "don t want", "dont want"),
    *("do not call", "do not send", "don t send", "dont send", "no more", "not interested", "no interest"),
    *(
        "lose my number",
        "lose this number",
        "delete my number",
        "delete me",
        "knock it off",
        "enough already",
    ),
    *("never signed up", "did not sign up", "didn t sign up", "didnt sign up", "new number", "new phone"),
    *("lass mich", "lassen sie mich", "lasst mich", "in ruhe", "falsche nummer", "nummer falsch", "wer ist"),
    *("wer bist", "wer sind sie", "kein interesse", "keine sms", "keine nachrichten", "keine werbung"),
    *("nicht mehr", "keine mehr", "hor auf", "hort auf", "horen sie auf", "aufhoren", "will nicht"),
    *("laissez moi", "laisse moi", "mauvais numero", "faux numero", "plus de sms", "plus de message"),
    *(
        "plus de messages",
        "ne m envoyez",
        "n envoyez plus",
        "ne plus recevoir",
        "qui est ce",
        "qui etes vous",
    ),
    *("c est qui", "pas interesse", "pas interessee", "me contactez plus", "retirez moi", "foutez moi"),
    *("dejame", "dejenme", "dejeme", "deja de", "en paz", "numero equivocado", "quien es", "quien eres"),
    *("no me interesa", "no mas", "no quiero", "no me escriban", "no me escriba", "borrame", "borrenme"),
    *("quitame", "lasciami", "lasciatemi", "in pace", "numero sbagliato", "chi e", "chi sei", "chi siete"),
    *("non mi interessa", "non scrivetemi", "non voglio", "non scrivermi", "laat me", "met rust"),
    *("verkeerd nummer", "wie is dit", "wie ben je", "geen sms", "geen berichten", "geen interesse"),
    *("niet meer", "hou op", "houd op", "deixe em paz", "deixem em paz", "numero errado", "quem e"),
    *("nao quero", "nao tenho interesse", "sem interesse", "nao envie", "nao enviem", "tire me"),
)

_OPT_OUT_EMOJI = re.compile("[\U0001f6d1\U0001f6ab\u26d4\u270b\U0001f595]")
"""Stop sign, no entry, a raised hand, a finger."""


def classify_reply(text: str) -> ReplyIntent:
    """Return the intent of a reply. Keywords match in any case, with accents, punctuation, emoji and blanks.

    ``STOP`` is one keyword or several, with nothing but courtesy words. ``START`` is one keyword alone.
    ``UNRELATED`` is a help keyword, and any other text without a sign of an opt-out.
    """
    text = text[:MAX_REPLY_LENGTH]
    words = _normalize_text(text).split()
    content_words = [word for word in words if word not in _COURTESY_WORDS] or words
    if "".join(content_words) in STOP_KEYWORDS or (content_words and STOP_KEYWORDS.issuperset(content_words)):
        return ReplyIntent.STOP
    if _may_be_opt_out(words, content_words) or _OPT_OUT_EMOJI.search(text):
        return ReplyIntent.DOUBTFUL
    return ReplyIntent.START if "".join(words) in START_KEYWORDS else ReplyIntent.UNRELATED


def reply_text(properties: Mapping[str, Any]) -> str:
    """Return the text of a reply: ``text``, else ``body``; empty where there is none."""
    for name in ("text", "body"):
        value = properties.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _may_be_opt_out(words: list[str], content_words: list[str]) -> bool:
    if len(content_words) == 1 and content_words[0] in _NEGATIONS:
        return True
    if any(word in _OPT_OUT_WORDS or word.startswith(_OPT_OUT_PREFIXES) for word in words):
        return True
    line = f" {' '.join(words)} "
    return any(f" {phrase} " in line for phrase in _OPT_OUT_PHRASES)


def _normalize_text(text: str) -> str:
    """Return small letters without accents, digits, and blanks for all else that has a width."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = (letter for letter in decomposed if unicodedata.category(letter) not in ("Mn", "Me", "Cf"))
    return "".join(letter if letter.isalnum() else " " for letter in kept)
