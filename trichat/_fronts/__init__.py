"""Fronts: what a protocol looks like in bytes, without I/O.

`front` is the seam, `requests` is what clients want on any front, and each folder is one protocol.
"""
