"""The gate's snapshot, claims, kill switches, audiences, policy versions, preference tokens, the sandbox."""
