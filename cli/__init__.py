"""The `waypost` command. Thin: parses arguments, calls the rooms below, prints."""
