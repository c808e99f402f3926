"""Connections: listeners accept them, transports read and write them, outboxes hold what waits to be sent."""
