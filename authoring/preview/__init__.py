"""`waypost preview`: one shopper's scenario on virtual time."""
