"""The states of the USA: their names, the zones their clocks keep, and their area codes.

Written down because the same data in ``phonenumbers.geocoder`` takes 100 MB of memory for the villages
of the world; a test holds this list against it.
"""

from functools import cache
from typing import NamedTuple

_ZONES = {
    "E": "America/New_York",
    "C": "America/Chicago",
    "M": "America/Denver",
    "Z": "America/Phoenix",
    "P": "America/Los_Angeles",
    "K": "America/Anchorage",
    "A": "America/Adak",
    "H": "Pacific/Honolulu",
}


class State(NamedTuple):
    """A state, or the District of Columbia."""

    name: str
    zones: tuple[str, ...]
    """One IANA zone for each clock that is kept in it."""
    area_codes: frozenset[str]


def _state(name: str, clocks: str, area_codes: str) -> State:
    return State(name, tuple(_ZONES[clock] for clock in clocks), frozenset(area_codes.split()))


STATES: dict[str, State] = {
    "AK": _state("Alaska", "KA", "907"),
    "AL": _state("Alabama", "CE", "205 251 256 334 659 938"),
    "AR": _state("Arkansas", "C", "327 479 501 870"),
    "AZ": _state("Arizona", "ZM", "480 520 602 623 928"),
    "CA": _state(
        "California",
        "P",
        "209 213 279 310 323 341 350 369 408 415 424 442 510 530 559 562 619 626 628 650 657 661 "
        "669 707 714 738 747 760 805 818 820 831 840 858 909 916 925 949 951",
    ),
    "CO": _state("Colorado", "M", "303 719 720 748 970 983"),
    "CT": _state("Connecticut", "E", "203 475 860 959"),
    "DC": _state("District of Columbia", "E", "202 771"),
    "DE": _state("Delaware", "E", "302"),
    "FL": _state(
        "Florida",
        "EC",
        "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954",
    ),
    "GA": _state("Georgia", "E", "229 404 470 478 678 706 762 770 912 943"),
    "HI": _state("Hawaii", "H", "808"),
    "IA": _state("Iowa", "C", "319 515 563 641 712"),
    "ID": _state("Idaho", "MP", "208 986"),
    "IL": _state("Illinois", "C", "217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 872"),
    "IN": _state("Indiana", "EC", "219 260 317 463 574 765 812 930"),
    "KS": _state("Kansas", "CM", "316 620 785 913"),
    "KY": _state("Kentucky", "EC", "270 364 502 606 859"),
    "LA": _state("Louisiana", "C", "225 318 337 504 985"),
    "MA": _state("Massachusetts", "E", "339 351 413 508 617 774 781 857 978"),
    "MD": _state("Maryland", "E", "227 240 301 410 443 667"),
    "ME": _state("Maine", "E", "207"),
    "MI": _state("Michigan", "EC", "231 248 269 313 517 586 616 734 810 906 947 989"),
    "MN": _state("Minnesota", "C", "218 320 507 612 651 763 952"),
    "MO": _state("Missouri", "C", "235 314 417 557 573 636 660 816 975"),
    "MS": _state("Mississippi", "C", "228 601 662 769"),
    "MT": _state("Montana", "M", "406"),
    "NC": _state("North Carolina", "E", "252 336 472 704 743 828 910 919 980 984"),
    "ND": _state("North Dakota", "CM", "701"),
    "NE": _state("Nebraska", "CM", "308 402 531"),
    "NH": _state("New Hampshire", "E", "603"),
    "NJ": _state("New Jersey", "E", "201 551 609 640 732 848 856 862 908 973"),
    "NM": _state("New Mexico", "M", "505 575"),
    "NV": _state("Nevada", "PM", "702 725 775"),
    "NY": _state(
        "New York",
        "E",
        "212 315 329 332 347 363 516 518 585 607 631 646 680 716 718 838 845 914 917 929 934",
    ),
    "OH": _state("Ohio", "E", "216 220 234 283 326 330 380 419 440 513 567 614 740 937"),
    "OK": _state("Oklahoma", "CM", "405 539 572 580 918"),
    "OR": _state("Oregon", "PM", "458 503 541 971"),
    "PA": _state("Pennsylvania", "E", "215 223 267 272 412 445 484 570 582 610 717 724 814 835 878"),
    "RI": _state("Rhode Island", "E", "401"),
    "SC": _state("South Carolina", "E", "803 821 839 843 854 864"),
    "SD": _state("South Dakota", "CM", "605"),
    "TN": _state("Tennessee", "EC", "423 615 629 731 865 901 931"),
    "TX": _state(
        "Texas",
        "CM",
        "210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 "
        "936 940 945 956 972 979",
    ),
    "UT": _state("Utah", "M", "385 435 801"),
    "VA": _state("Virginia", "E", "276 434 540 571 686 703 757 804 826 948"),
    "VT": _state("Vermont", "E", "802"),
    "WA": _state("Washington", "P", "206 253 360 425 509 564"),
    "WI": _state("Wisconsin", "C", "262 274 353 414 534 608 715 920"),
    "WV": _state("West Virginia", "E", "304 681"),
    "WY": _state("Wyoming", "M", "307"),
}
"""Two-letter code → the state."""


@cache
def _by_area_code() -> dict[str, str]:
    return {area: code for code, state in STATES.items() for area in state.area_codes}


@cache
def _by_name() -> dict[str, str]:
    return {state.name.casefold(): code for code, state in STATES.items()}


def state_of_number(phone_e164: str) -> str | None:
    """The two-letter code of the state an American number was given out in; None for a toll-free one.

    People keep their number when they move: Florida, Oklahoma and Connecticut presume that they did not.
    """
    return _by_area_code().get(phone_e164[2:5]) if phone_e164.startswith("+1") else None


def state_named(text: str) -> str | None:
    """The two-letter code of what somebody calls a state: "FL", "US-FL" or "Florida", in any case."""
    said = text.strip().casefold()
    code = said.removeprefix("us-").upper()
    return code if code in STATES else _by_name().get(said)
