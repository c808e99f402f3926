"""The benchmark: compares trichat with a floor, an obvious server and its peers, under the same load generator.

`make bench` runs it. `rows.py` defines the measurements and the goals, `servers.py` and `peers.py` the servers.
"""
