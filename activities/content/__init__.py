"""Message templates: loading, validation, rendering for email and SMS."""
