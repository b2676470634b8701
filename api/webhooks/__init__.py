"""Provider webhooks: signatures."""
