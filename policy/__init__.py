"""Decides on messages: pure functions from facts to a verdict. No I/O and no clock; time is an argument."""
