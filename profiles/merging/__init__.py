"""Merge and split of profiles: assignment, reassignment of rows, rebuild, audit log, unmerge."""
