"""Messages and decisions: the gate's snapshot, claims, kill switches, audiences, recorded policy versions."""
