"""Whether everything happened that the demo promises to show, and nothing that must not."""

from workers.demo.summary import Counts, Summary

_UNTOLD = ("running", "stuck", "failed", "gone", "timed_out", "terminated", "overflow")
"""What no story may end as."""

_PROMISED_FROM = 200
"""Shoppers, from which on everything the demo shows is sure to happen."""


def broken(summary: Summary) -> list[str]:
    """What did not happen although it was promised, in words."""
    said: list[str] = []
    if bought := summary.bought_items_promoted_after_purchase:
        said.append(f"{bought} bought items were promoted after purchase")
    if promoted := summary.promoted_while_a_ticket_was_open:
        said.append(f"{promoted} promotions went out while a support ticket was open")
    for journey, found in summary.runs.items():
        said += [f"{found[state]} runs of {journey} are {state}" for state in _UNTOLD if found.get(state)]
    ended = sum(n for found in summary.runs.values() for n in found.values())
    if summary.temporal.get("Completed", 0) != ended:
        said.append(
            f"Temporal has {summary.temporal.get('Completed', 0)} completed runs, Postgres {ended} runs"
        )
    if summary.silence["unknown"]:
        said.append(f"{summary.silence['unknown']} messages have an unknown outcome")
    if summary.silence["audience_left_over"]:
        said.append(f"{summary.silence['audience_left_over']} people are still in an audience")
    if not ended:
        said.append("no run ended")
    if summary.shoppers >= _PROMISED_FROM:
        said += [f"nothing to show: {what}" for what, count in _variety(summary).items() if not count]
    return said


def _variety(summary: Summary) -> Counts:
    silence, patience = summary.silence, summary.patience
    return {
        "runs of cart-abandonment": sum(summary.runs.get("cart-abandonment", {}).values()),
        "runs of post-purchase": sum(summary.runs.get("post-purchase", {}).values()),
        "runs of win-back": sum(summary.runs.get("win-back", {}).values()),
        "customers missed by their own rhythm": summary.shop["lapsed_by_rhythm"],
        "people in an experiment": sum(n for arms in summary.experiments.values() for n in arms.values()),
        "mails": sum(summary.messages.get("email", {}).values()),
        "text messages": sum(summary.messages.get("sms", {}).values()),
        "carts silenced by a purchase": silence["carts_silenced"],
        "promotions withheld because bought": silence["withheld_bought"],
        "carts shrunk": silence["shrunk_carts"],
        "messages without what was sold out": patience["withheld_sold_out"] + patience["shrunk_sold_out"],
        "audience removals": silence["audience_bought"],
        "messages held for a ticket or return": patience["held"],
        "messages sent after a ticket or return": patience["held_and_sent"],
        "carts told of a price or of stock": patience["told"],
        "review requests": patience["reviews_asked"],
        "things sent back": patience["sent_back"],
        "opt-outs": silence["one_click"],
        "merged people": summary.shop["merged"],
    }
