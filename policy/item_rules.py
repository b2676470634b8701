"""Decides which of the shop's rules says how long and how far a purchase keeps its item away."""

from policy.limits import Limits, SuppressionRule


def rule_for(
    limits: Limits, product: str | None, sku: str | None, category: str | None, group: str | None
) -> SuppressionRule:
    """The first rule that fits what was bought, else the shop's window for the product.

    A rule about a product fits the product id and the stock keeping unit. Never raises: a purchase whose
    category nobody knows is simply fitted by no rule about a category.
    """
    names = (_folded(product), _folded(sku))
    for rule in limits.suppression:
        if (
            (rule.product is None or _folded(rule.product) in names)
            and (rule.category is None or _folded(rule.category) == _folded(category))
            and (rule.group is None or _folded(rule.group) == _folded(group))
        ):
            return rule
    return SuppressionRule(limits.suppression_window)


def _folded(name: str | None) -> str | None:
    return name.strip().casefold() if name else None
