"""`/v1/events` and the Segment endpoints: parsing, verification, responses."""
