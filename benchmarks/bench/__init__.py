"""The benchmark: trichat beside a floor, an obvious server and its peers, under one load generator.

`make bench` runs it. `rows.py` says what is measured and what it has to reach, `servers.py` and `peers.py`
against whom.
"""
