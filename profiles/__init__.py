"""The unified profile, and all of Waypost's SQL. Imports no other package of Waypost."""
