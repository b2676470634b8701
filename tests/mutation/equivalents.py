"""Mutants that no test can notice, each with the reason."""

EQUIVALENT: dict[str, str] = {
    "relevance:_bundles_in_part: not active or not facts.shelf → not active and (not facts.shelf)": (
        "a short cut: without purchases or without a feed no bundle has parts that were bought"
    ),
    "caps:_length: 0 → 1": "no cap is without a window and without a period: it refuses to be made",
    "periods:period_of: end <= at → end < at": (
        "the instant at which a period begins is of that period's day by the wall, so it is never an end"
    ),
    "periods:_first_day: case Period.DAY → gone": (
        "it begins at the first of the month then, and walks day by day to the same day"
    ),
    "periods:_next: 31 → 32": "32 days after the first of a month is the next month as well",
    "priority:outranks: theirs > ours → theirs >= ours": "they are not equal here",
    "holdout:held_out: 'in' → 'XXinXX'": "only the arm's place in the alphabet matters",
    "quiet_hours:in_open_hours: common_close(governing.hours, governing.zones, opening, before=before) → "
    "common_close(governing.hours, governing.zones, opening)": "a close after the expiry is cut off there",
    "quiet_hours:open_until: common_close(governing.hours, governing.zones, at, before=plan.expires_at) → "
    "common_close(governing.hours, governing.zones, at)": "a close after the expiry is cut off there",
    "spread:wake_up: spread <= timedelta() → spread < timedelta()": "a part of no time is no time",
    "assignment:assign: raise AssertionError('unreachable: place is below the sum of the weights') → gone": (
        "unreachable"
    ),
    "assignment:assign: 'unreachable: place is below the sum of the weights' → "
    "'XXunreachable: place is below the sum of the weightsXX'": "unreachable",
    "channel_choice:ranked: '' → 'XX'": "no channel has that name either",
    "durations:in_words: length < timedelta() → length <= timedelta()": "no time at all has no parts",
    "durations:short: '0' → 'XX0XX'": "there is no X among digits",
    "zones:_names: resources.files('tzdata').joinpath('zones').read_text(encoding='utf-8') → "
    "resources.files('tzdata').joinpath('zones').read_text()": "ASCII",
    "zones:zones_by_country: resources.files('tzdata').joinpath('zoneinfo', 'zone.tab').read_text("
    "encoding='utf-8') → resources.files('tzdata').joinpath('zoneinfo', 'zone.tab').read_text()": "ASCII",
    "zones:offset_change: until.timestamp() // 1 → until.timestamp() * 1": "int() rounds down since 1970",
    "zones:_zones_of_phone: return () → return None": "asked only whether there are any",
    "zones:_zones_of_phone: '' → 'XX'": "no country has that code either",
    "zones:offset_change: after.timestamp() // 1 → after.timestamp() * 1": "int() rounds down since 1970",
    "zones:offset_change: 3600 → 3601": "any step that is about an hour finds the same instant",
    "zones:offset_change: 3600 → 3599": "any step that is about an hour finds the same instant",
    "zones:local_time_after: raise AssertionError("
    "'unreachable: nine days hold every weekday after today') → gone": ("unreachable"),
    "zones:local_time_after: 'unreachable: nine days hold every weekday after today' → "
    "'XXunreachable: nine days hold every weekday after todayXX'": "unreachable",
    "places:may_be_in: _same_clock(zone, own) → _same_clock(own, zone)": "the two are compared",
    "zones:local_time_after: 9 → 10": "a tenth day is never needed",
    "places:places_of: '' → 'XX'": "neither is a number",
}
