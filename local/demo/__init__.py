"""The demo: a shop with simulated shoppers over several weeks, and its summary."""
