"""Webhooks of providers: verification of their signatures. No route receives webhooks yet."""
