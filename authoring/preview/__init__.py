"""`waypost preview`: run one shopper's scenario through a journey on virtual time."""
