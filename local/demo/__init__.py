"""The demo: a simulated shop and its shoppers over 48 days on a local stack, and a summary of the results."""
