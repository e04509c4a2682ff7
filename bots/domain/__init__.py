"""The desk's own values: bots, ledger entries, round trips, and the book they fold into. Pure."""
