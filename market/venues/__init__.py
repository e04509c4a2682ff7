"""Venues: the feeds, brokers and clocks behind the ports, and what reads their files.

Only what wires a run together imports from here; everything else speaks through `market.ports`.
"""
