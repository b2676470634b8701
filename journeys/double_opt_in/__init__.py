"""Double opt-in: the story and its message."""
