"""The policy file: settings, TOML decoding with line numbers, and the codec of stored values."""
