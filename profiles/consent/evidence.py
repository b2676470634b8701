"""Evidence of a consent: the wording shown, the method and the jurisdiction. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KEYWORD_METHOD = "keyword"
"""An SMS keyword that carriers and the law treat as an opt-out."""

DOUBTFUL_METHOD = "reply_doubtful"
"""An SMS that may mean an opt-out. It counts as one, and an operator reviews it."""

RESTART_METHOD = "keyword_start"
"""An SMS keyword that lifts what a reply withdrew. It is no consent by itself."""

REVIEW_METHOD = "review"
"""An operator's review of a doubtful reply."""

RESERVED_METHODS = frozenset({DOUBTFUL_METHOD, RESTART_METHOD, REVIEW_METHOD})
"""Methods that the computation of effective consents interprets. Events may not claim them."""

MALFORMED_VALUE = ""
"""Replaces evidence that cannot be stored."""

TEXT_VERSION_PATTERN = r"^[^\x00-\x1f\x7f]{1,100}$"

METHOD_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"

JURISDICTION_PATTERN = r"^[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?$"
"""ISO 3166-1 alpha-2, or ISO 3166-2."""

_EXPECTED_FORMATS = {
    "text_version": "the version of the wording shown, 1 to 100 characters such as 2026-03",
    "method": "a word such as checkbox, double_opt_in or import: a to z, 0 to 9 and _, at most 40, none of "
    + ", ".join(sorted(RESERVED_METHODS)),
    "jurisdiction": "a country or region code such as DE or US-CA",
}

_VALIDATORS: dict[str, Callable[[str], bool]] = {
    "text_version": lambda text: re.fullmatch(TEXT_VERSION_PATTERN, text) is not None,
    "method": lambda text: re.fullmatch(METHOD_PATTERN, text) is not None and text not in RESERVED_METHODS,
    "jurisdiction": lambda text: re.fullmatch(JURISDICTION_PATTERN, text) is not None,
}


@dataclass(frozen=True, slots=True)
class ConsentEvidence:
    """Evidence that is stored with a declaration; None: not given."""

    text_version: str | None = None
    """Version of the wording that was shown."""
    method: str | None = None
    """checkbox, double_opt_in, keyword, preference_page, one_click, provider, api, import, and so on."""
    jurisdiction: str | None = None
    """Country (ISO 3166-1) or region (ISO 3166-2), in capitals."""


NO_EVIDENCE = ConsentEvidence()


def evidence_fault(name: str, value: object) -> str | None:
    """Return what is wrong with one value, without repeating the value; None where it can be stored."""
    if isinstance(value, str) and _VALIDATORS[name](value):
        return None
    received = f"{len(value)} characters that are not" if isinstance(value, str) else type(value).__name__
    return f"{name} must be {_EXPECTED_FORMATS[name]}; got {received}; the word counts without it"


def parse_evidence(
    fields: Mapping[str, Any], *, where: str = "", method: str | None = None
) -> tuple[ConsentEvidence, tuple[str, ...]]:
    """Return the evidence in an object, and what is wrong with the rest of it.

    Never raises: a declaration counts with invalid evidence too. ``method``: used where the object has none.
    """
    valid: dict[str, str | None] = {"method": method}
    faults = []
    for name, value in ((name, fields.get(name)) for name in _EXPECTED_FORMATS):
        if value is not None and (fault := evidence_fault(name, value)):
            faults.append(f"{where}{fault}")
        elif value is not None:
            valid[name] = value.upper() if name == "jurisdiction" else value
    return ConsentEvidence(**valid), tuple(faults)
