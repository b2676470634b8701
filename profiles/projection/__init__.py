"""Applying events to profile state: live, and by replaying stored events."""
