"""Effects: what a journey may do to the world. Activities read, decide, call one thing and record it."""
