"""What the SQL view ``person`` promises to authors' queries: a row a person, but for merged and erased ones.

The view itself is made by the migrations. Names and meanings here are stable: columns may be added, and none
is taken away or given another meaning.
"""

COLUMNS = {
    "profile_id": "uuid; the person",
    "traits": "jsonb; all traits on file, as in traits ->> 'plan' = 'gold'",
    "orders": "int; orders ever, over all channels, those later refunded or cancelled included; what comes "
    "in twice under one order_id is one order",
    "spent": "numeric; over all orders, without what was given back; 0 without any; in the shop's currency",
    "first_order_at": "timestamptz; of the first order whose products are known; null without any",
    "last_order_at": "timestamptz; of the last order; null without any",
    "days_since_order": "int; whole days since the last order; null without any",
    "median_gap_days": "float; days between two visits, in the middle; several orders on one day (UTC) are "
    "one visit; null with fewer than three visits",
    "created_at": "timestamptz; when the profile began",
    "last_event_at": "timestamptz; when anything was last heard of the person",
    "open_cart_items": "int; lines in carts that no order has emptied",
    "reachable_email": "boolean; there is an email address that has not bounced or complained; says nothing "
    "of consent, which the gate decides",
    "reachable_sms": "boolean; there is a phone number that has not bounced or complained; the same",
    "timezone": "text; traits.timezone, else that of an event's context; null where neither is a zone that "
    "Postgres knows, so that it may stand after AT TIME ZONE",
    "locale": "text; traits.locale, else traits.language, else that of an event's context; null without any",
    "preferred_channel": "text; on which most messages were opened, clicked or answered, in the 180 days "
    "before the last one was; email where two are even; null without any",
    "preferred_hour": "int; hour of the day, 0 to 23 in the person's timezone (else UTC), in which most "
    "orders and engagements fell; the earliest where some are even; null without any",
    "opens": "int; messages that were opened, clicked or answered",
    "clicks": "int; messages that were clicked",
    "last_seen": "timestamptz; when the person was last heard of on any channel; deliveries, bounces and "
    "Waypost's own events do not count",
}
"""Column → type and meaning. Columns a query does not name cost nothing."""
