"""Consent: declarations, evidence, the append-only ledger, effective consent, review of doubtful replies."""
