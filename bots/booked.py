"""Which of the venue's reports a bot has booked already: asked only when the database refused a second row."""

from collections.abc import Sequence
from uuid import UUID

from bots import models
from bots.domain.reports import ReportKey, report_key
from market.domain.orders import VenueReport


def booked(bot_id: UUID, reports: Sequence[VenueReport]) -> set[ReportKey]:
    """Which of these reports are booked already."""
    keys = {key for report in reports if (key := report_key(report)) is not None}
    trades = [name for what, _, name in keys if what == "fill"]
    fills = models.Fill.objects.filter(bot_id=bot_id, venue_trade_id__in=trades)
    found: set[ReportKey] = {("fill", fill.symbol, fill.venue_trade_id) for fill in fills}
    names = {
        f"{symbol}@{name}" if what == "funding" else name: (what, symbol, name)
        for what, symbol, name in keys
        if what != "fill"
    }
    booked = models.LedgerEntry.objects.filter(
        bot_id=bot_id, kind__in=["FUNDING", "ADJUSTMENT"], key__in=names
    )
    return found | {names[entry.key] for entry in booked}
