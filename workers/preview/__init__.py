"""See what a journey does to one shopper: a scenario on virtual time, and the messages it sends."""
