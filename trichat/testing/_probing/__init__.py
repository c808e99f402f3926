"""The server with a cancel scope around each of its parts, and what strikes one of them."""
