"""What moves on pages without a reload: topics and their parts, the tailer that renders them, the wake-up.

It shows and decides nothing; what it loses costs a second, never a row.
"""
