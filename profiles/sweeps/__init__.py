"""Events that no channel sends: lapsed customers, product alerts, segment entries."""
