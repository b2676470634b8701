"""Messages and decisions: the gate's snapshot, claims, kill switches, ad audiences, policy versions.

Also preference tokens and the tables of the sandbox.
"""
