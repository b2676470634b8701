"""The states of the USA: their names, their time zones, and their telephone area codes.

Kept as a table, because the same data in ``phonenumbers.geocoder`` takes 100 MB of memory. A test compares
the two.
"""

from functools import cache
from typing import NamedTuple

_ZONES_BY_LETTER = {
    "E": "America/New_York",
    "C": "America/Chicago",
    "M": "America/Denver",
    "Z": "America/Phoenix",
    "P": "America/Los_Angeles",
    "K": "America/Anchorage",
    "A": "America/Adak",
    "H": "Pacific/Honolulu",
}


class UsState(NamedTuple):
    """A state, or the District of Columbia."""

    name: str
    zones: tuple[str, ...]
    """One IANA zone for each local time in it."""
    area_codes: frozenset[str]


# pragma: no mutate start, called at import only
def _us_state(name: str, clocks: str, area_codes: str) -> UsState:
    return UsState(name, tuple(_ZONES_BY_LETTER[clock] for clock in clocks), frozenset(area_codes.split()))


# pragma: no mutate end
US_STATES: dict[str, UsState] = {
    "AK": _us_state("Alaska", "KA", "907"),
    "AL": _us_state("Alabama", "CE", "205 251 256 334 659 938"),
    "AR": _us_state("Arkansas", "C", "327 479 501 870"),
    "AZ": _us_state("Arizona", "ZM", "480 520 602 623 928"),
    "CA": _us_state(
        "California",
        "P",
        "209 213 279 310 323 341 350 369 408 415 424 442 510 530 559 562 619 626 628 650 657 661 "
        "669 707 714 738 747 760 805 818 820 831 840 858 909 916 925 949 951",
    ),
    "CO": _us_state("Colorado", "M", "303 719 720 748 970 983"),
    "CT": _us_state("Connecticut", "E", "203 475 860 959"),
    "DC": _us_state("District of Columbia", "E", "202 771"),
    "DE": _us_state("Delaware", "E", "302"),
    "FL": _us_state(
        "Florida",
        "EC",
        "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954",
    ),
    "GA": _us_state("Georgia", "E", "229 404 470 478 678 706 762 770 912 943"),
    "HI": _us_state("Hawaii", "H", "808"),
    "IA": _us_state("Iowa", "C", "319 515 563 641 712"),
    "ID": _us_state("Idaho", "MP", "208 986"),
    "IL": _us_state("Illinois", "C", "217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 872"),
    "IN": _us_state("Indiana", "EC", "219 260 317 463 574 765 812 930"),
    "KS": _us_state("Kansas", "CM", "316 620 785 913"),
    "KY": _us_state("Kentucky", "EC", "270 364 502 606 859"),
    "LA": _us_state("Louisiana", "C", "225 318 337 504 985"),
    "MA": _us_state("Massachusetts", "E", "339 351 413 508 617 774 781 857 978"),
    "MD": _us_state("Maryland", "E", "227 240 301 410 443 667"),
    "ME": _us_state("Maine", "E", "207"),
    "MI": _us_state("Michigan", "EC", "231 248 269 313 517 586 616 734 810 906 947 989"),
    "MN": _us_state("Minnesota", "C", "218 320 507 612 651 763 952"),
    "MO": _us_state("Missouri", "C", "235 314 417 557 573 636 660 816 975"),
    "MS": _us_state("Mississippi", "C", "228 601 662 769"),
    "MT": _us_state("Montana", "M", "406"),
    "NC": _us_state("North Carolina", "E", "252 336 472 704 743 828 910 919 980 984"),
    "ND": _us_state("North Dakota", "CM", "701"),
    "NE": _us_state("Nebraska", "CM", "308 402 531"),
    "NH": _us_state("New Hampshire", "E", "603"),
    "NJ": _us_state("New Jersey", "E", "201 551 609 640 732 848 856 862 908 973"),
    "NM": _us_state("New Mexico", "M", "505 575"),
    "NV": _us_state("Nevada", "PM", "702 725 775"),
    "NY": _us_state(
        "New York",
        "E",
        "212 315 329 332 347 363 516 518 585 607 631 646 680 716 718 838 845 914 917 929 934",
    ),
    "OH": _us_state("Ohio", "E", "216 220 234 283 326 330 380 419 440 513 567 614 740 937"),
    "OK": _us_state("Oklahoma", "CM", "405 539 572 580 918"),
    "OR": _us_state("Oregon", "PM", "458 503 541 971"),
    "PA": _us_state("Pennsylvania", "E", "215 223 267 272 412 445 484 570 582 610 717 724 814 835 878"),
    "RI": _us_state("Rhode Island", "E", "401"),
    "SC": _us_state("South Carolina", "E", "803 821 839 843 854 864"),
    "SD": _us_state("South Dakota", "CM", "605"),
    "TN": _us_state("Tennessee", "EC", "423 615 629 731 865 901 931"),
    "TX": _us_state(
        "Texas",
        "CM",
        "210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 "
        "936 940 945 956 972 979",
    ),
    "UT": _us_state("Utah", "M", "385 435 801"),
    "VA": _us_state("Virginia", "E", "276 434 540 571 686 703 757 804 826 948"),
    "VT": _us_state("Vermont", "E", "802"),
    "WA": _us_state("Washington", "P", "206 253 360 425 509 564"),
    "WI": _us_state("Wisconsin", "C", "262 274 353 414 534 608 715 920"),
    "WV": _us_state("West Virginia", "E", "304 681"),
    "WY": _us_state("Wyoming", "M", "307"),
}


@cache
def _codes_by_area_code() -> dict[str, str]:
    return {area: code for code, state in US_STATES.items() for area in state.area_codes}


@cache
def _codes_by_name() -> dict[str, str]:
    return {state.name.casefold(): code for code, state in US_STATES.items()}


def state_for_phone(phone_e164: str) -> str | None:
    """Return the two-letter code of the state of an American number; None for a toll-free one.

    A number stays the same after a move. Florida, Oklahoma and Connecticut presume residence by area code.
    """
    return _codes_by_area_code().get(phone_e164[2:5]) if phone_e164.startswith("+1") else None


def parse_state(text: str) -> str | None:
    """Parse a state: "FL", "US-FL" or "Florida", in any case. Returns the two-letter code."""
    name = text.strip().casefold()
    code = name.removeprefix("us-").upper()
    return code if code in US_STATES else _codes_by_name().get(name)
