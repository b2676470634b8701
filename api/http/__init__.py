"""What every route shares: keys, body limits, JSON parsing, problem responses, outages, metrics."""
