"""A server in a process of its own: signals, the control socket, reloads, and what watches over it."""
