"""The rules of the veto, by what they look at: the order, the portfolio, the tempo, the protection."""
