"""The transaction of the send gate: lock, read, decide, write. The rules are in ``policy``."""
