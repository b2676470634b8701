"""What a case of a ``match`` fits, as the label of the way it leads on."""

import ast

from authoring.graph.result import Result
from authoring.graph.words import Words
from journeys.vocabulary import Sent, Unknown, Withheld

_MESSAGES = ((Sent, "sent"), (Withheld, "withheld"), (Unknown, "unknown"))


def label_of(pattern: ast.pattern, result: Result | None, words: Words) -> str:
    """The label of a case; ``result`` is what the ``match`` looks at, where it came of a step."""
    drawn = result if result and result.drawn else None
    match pattern:
        case ast.MatchClass(cls=cls):
            found = words.meaning(cls)
            return next((said for kind, said in _MESSAGES if kind is found), "") or words.event(cls)
        case ast.MatchSingleton(value=None) if result:
            return result.fails or "never"
        case ast.MatchSingleton(value=value):
            return str(value)
        case ast.MatchOr(patterns=patterns):
            names = [label_of(each, None if drawn else result, words) for each in patterns]
            return drawn.arm(*names) if drawn else " or ".join(names)
        case ast.MatchValue(value=expression):
            said = words.value(expression)
            return drawn.arm(said) if drawn else said
        case ast.MatchSequence() if result and "all came" in result.cases:
            return "all came"
        case ast.MatchAs(pattern=None):
            return "anything else"
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return label_of(inner, result, words)
    return ast.unparse(pattern)
