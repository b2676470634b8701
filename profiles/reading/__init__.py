"""What senders' spellings mean: ids, names of events, lines, amounts, answers, time zones. Pure, no I/O.

Each module reads one kind of value. What it cannot read stays unread: it is never a grant, a purchase
or a person, and the event gets a problem that says what to send. All functions are idempotent.
"""
