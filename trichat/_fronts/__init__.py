"""Fronts: what a protocol looks like in bytes, without I/O.

A wire turns bytes into lines and messages into bytes, and knows nothing of sockets, tasks or rooms.
"""
