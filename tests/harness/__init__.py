"""Real servers, real processes and a faulty network for the tests."""
