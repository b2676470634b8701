"""Which identifiers so many people share that they are nobody's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from profiles.identity_rules import IdentityRules, kind_of


def shared_keys(
    links: Iterable[tuple[Sequence[str], bool]], attested: Collection[str], rules: IdentityRules
) -> frozenset[str]:
    """The keys that are linked with too many values of one strong type other than their own.

    ``links`` are (keys, verified). An attested key is counted over verified links only: otherwise anybody
    who holds a write key could take a customer's address away by naming it beside a dozen made-up
    user_ids. Every other key (a shared tablet's anonymous_id) is counted over all links. Counting looks
    at links, never at who has become one person, so that no key found changes another's count: one pass
    finds them all.
    """
    beside: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for keys, verified in links:
        strong = [(key, kind_of(key)) for key in keys if rules.is_strong(key)]
        for key in keys:
            if not verified and key in attested:
                continue
            own = kind_of(key)
            for other, kind in strong:
                if kind != own:
                    beside[key, kind].add(other)
    return frozenset(
        key
        for (key, _), others in beside.items()
        if len(others) > rules.shared_by.get(kind_of(key), len(others))
    )
