"""All of Waypost in one process, from the testing kit, and the instant at which tests begin."""
