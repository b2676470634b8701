"""What can be known to be wrong with a journey before it runs."""
