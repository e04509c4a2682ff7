"""Everything in one process: pages, workers and scheduler, supervised, and the first run that fills it.

The top of the house: it may use the lab and the desk, and nobody uses it.
"""
