"""A journey to begin from: story, message, registration and test, written into the user's tree."""
