"""The time between a message's claim and the provider's yes, and what was bought within it: SQL."""

# A plain range of an index for each channel, and never more than 10 000 of its rows, so that the price of
# looking does not grow with the shop. The channels are written out: one with many messages hides no other.
CLAIM_TO_ACCEPT = """
SELECT jsonb_object_agg(c.channel, q.took) FROM unnest(ARRAY['email', 'sms', 'push']) AS c(channel)
CROSS JOIN LATERAL (
  SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
    ORDER BY EXTRACT(epoch FROM s.accept_recorded_at - s.claim_recorded_at)::float8) AS took
  FROM (SELECT m.accept_recorded_at, m.claim_recorded_at FROM message m
    WHERE m.channel = c.channel AND m.accept_recorded_at > now() - interval '1 hour'
    ORDER BY m.accept_recorded_at DESC LIMIT 10000) s) q
WHERE q.took IS NOT NULL
"""
"""Channel → the median and the 99th percentile of the last hour, in seconds."""

# A purchase is stamped under its person's lock, as a claim is: which came first is never in doubt. Of a
# person's messages only the newest are read: a claim is taken for unknown long before it is a day old.
IN_FLIGHT_AT_PURCHASE = """
WITH bought AS MATERIALIZED (SELECT b.profile_id, b.event_id, b.line, b.recorded_at FROM purchase b
  WHERE b.recorded_at > now() - interval '1 day'),
met AS MATERIALIZED (SELECT b.profile_id, b.event_id, b.line, m.message_id, m.items FROM bought b
  JOIN message m ON m.profile_id = b.profile_id AND m.claimed_at > b.recorded_at - interval '1 day'
    AND m.claim_recorded_at < b.recorded_at AND m.accept_recorded_at > b.recorded_at
    AND m.message_class = 'marketing')
SELECT count(DISTINCT m.message_id) FROM met m
JOIN suppression s ON s.profile_id = m.profile_id AND s.event_id = m.event_id AND s.line = m.line
WHERE m.items && (array_remove(ARRAY[s.item, s.sku], NULL) || s.parts)
"""
"""Messages that were claimed before, and accepted after a purchase of what they promote, in the last day."""
