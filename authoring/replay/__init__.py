"""`waypost check`: replays open runs against the working tree before a deploy."""
