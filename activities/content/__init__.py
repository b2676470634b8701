"""Message templates: loading, validation, and rendering for email and SMS."""
