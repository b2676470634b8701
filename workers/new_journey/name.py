"""What a new journey may be called, and how its name is written in each place."""

import keyword
import re
from dataclasses import dataclass

from journeys.vocabulary.definition import kebab
from workers.faults import Fault

_WORDS = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z][a-z0-9]*)*")
_LONGEST = 30
"""Letters: the name is part of every workflow id, and longer ones break the lines of the files made."""


@dataclass(frozen=True, slots=True)
class Name:
    """One journey's name in words."""

    words: tuple[str, ...]

    @property
    def kebab(self) -> str:
        """The journey's name: ``price-drop``."""
        return "-".join(self.words)

    @property
    def snake(self) -> str:
        """Its folder: ``price_drop``."""
        return "_".join(self.words)

    @property
    def cls(self) -> str:
        """Its class: ``PriceDrop``."""
        return "".join(word.capitalize() for word in self.words)

    @property
    def title(self) -> str:
        """As people write it: ``Price drop``."""
        return " ".join(self.words).capitalize()

    @property
    def event(self) -> str:
        """The event of its own that starts it until the author names another: ``Price Drop Entered``."""
        return " ".join([*(word.capitalize() for word in self.words), "Entered"])

    @property
    def message(self) -> str:
        """Its message: ``price_drop_note``. Message names are one list over all journeys."""
        return f"{self.snake}_note"


def name_of(text: str) -> Name:
    """The name, given in kebab-case or snake_case. Raises ``Fault``, which says what to write instead."""
    wanted = "a journey's name is small words with hyphens between them, such as price-drop"
    if not _WORDS.fullmatch(text):
        guess = re.sub(r"[^a-z0-9]+", "-", kebab(text)).strip("-")
        hint = f"; try {guess}" if _WORDS.fullmatch(guess) else ""
        raise Fault(f"{text!r} cannot be a journey's name: {wanted}; each word begins with a letter{hint}")
    if len(text) > _LONGEST:
        raise Fault(f"{text!r} has {len(text)} letters, and {_LONGEST} are the most; choose a shorter name")
    name = Name(tuple(re.split("[-_]", text)))
    if keyword.iskeyword(name.snake):
        raise Fault(
            f"{text!r} is a word of Python, so no folder of code can have that name; add a word, such as "
            f"{text}-reminder"
        )
    if kebab(name.cls) != name.kebab:
        raise Fault(
            f"{text!r} would be the class {name.cls}, which reads as {kebab(name.cls)!r}; give each word two "
            "letters or more"
        )
    return name
