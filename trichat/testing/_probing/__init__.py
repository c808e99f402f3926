"""A server with a cancel scope around each of its parts, and the probe that cancels one of them."""
