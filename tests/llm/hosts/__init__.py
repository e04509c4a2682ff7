"""Models behind hosts: the real clients against a server on this machine that answers, refuses, drips or breaks."""
