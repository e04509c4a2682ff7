"""A simulated market, and plainly labelled so: for demos, practice and tests, never for results.

Several instruments that move together, in regimes (up, down, chop, crash, rebound), with fat tails,
clustered volatility, funding, spread and depth. The price at any minute is a pure function of (seed,
base, minute): asking for more history, another start or a later `now` never changes a candle. It
learns nothing from orders. The trap avoided: a random walk that is stepped depends on who stepped it,
and after a restart it is another market.
"""

from market.venues.sim_market.feed import DEFAULT_SYMBOLS, SimMarketFeed, histories

__all__ = ["DEFAULT_SYMBOLS", "SimMarketFeed", "histories"]
