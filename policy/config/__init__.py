"""The policy file: settings, TOML reading with line numbers, and the codec of stored policies."""
