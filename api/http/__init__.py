"""What every route shares: keys, body limits, problem responses, outages, metrics."""
