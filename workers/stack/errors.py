"""What can go wrong with a local stack, in words that say what to do."""

from collections.abc import Iterator

from workers.faults import Fault


class StackError(Fault):
    """The local stack cannot start or go on."""


class ChildDied(StackError):
    """A process of the stack ended by itself."""

    def __init__(self, name: str, code: int, last_lines: list[str]) -> None:
        self.name = name
        self.code = code
        said = "\n".join(f"    {line}" for line in last_lines) or "    (it printed nothing)"
        super().__init__(f"{name} ended by itself with exit code {code}; its last lines:\n{said}")


def first_reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show: of several that came together, one that explains itself."""
    reasons = list(_leaves(group))
    return next((reason for reason in reasons if isinstance(reason, StackError)), reasons[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
