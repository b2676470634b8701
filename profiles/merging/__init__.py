"""Merge and split of profiles: assignment, moves of rows and runs, rebuild, audit log, unmerge, preview."""
