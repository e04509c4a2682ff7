"""What is asked of the books: whether they still are what their rows make, and who has something at stake."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models import Exists, OuterRef

from bots import models, runtime
from bots.books import differences
from market.domain.instruments import Instrument
from market.instrument_rows import instrument_of
from market.models import Instrument as InstrumentRow

TRIES = 5


def exposed_bots() -> tuple[UUID, ...]:
    """Every bot that holds something or has an order that may still fill. One query."""
    held = models.Position.objects.filter(bot=OuterRef("pk"), is_dust=False)
    living = models.Order.objects.filter(bot=OuterRef("pk"), status__in=models.LIVING_STATUSES)
    found = models.Bot.objects.filter(Exists(held) | Exists(living))
    return tuple(found.order_by("name", "pk").values_list("pk", flat=True))


def book_differences(bot_id: UUID) -> tuple[str, ...]:
    """What differs between a bot's stored state and its rows folded anew; empty when all is equal. Reads
    the whole log of the bot, again when somebody wrote meanwhile. Raises VenueUnavailable, and ValueError
    for an instrument that nobody knows any more."""
    found: list[str] = []
    for _ in range(TRIES):
        bot = runtime.load_bot(bot_id)
        found = differences(runtime.config_of(bot), bot.state, _instruments(bot))
        if (
            not found
            or models.Bot.objects.filter(
                pk=bot_id, fence=bot.fence, event_sequence=bot.event_sequence
            ).exists()
        ):
            break
    return tuple(found)


def _instruments(bot: models.Bot) -> Mapping[str, Instrument]:
    """Every instrument that the bot has ever held: as stored, else as its venue lists it now."""
    symbols = set(models.Fill.objects.filter(bot=bot).values_list("symbol", flat=True).distinct())
    symbols |= set(models.Position.objects.filter(bot=bot).values_list("symbol", flat=True))
    stored = InstrumentRow.objects.filter(venue=bot.venue, symbol__in=symbols)
    known = {row.symbol: instrument_of(row) for row in stored}
    if symbols - set(known):
        listed = runtime.open_feed(bot).instruments()
        known = {one.symbol: one for one in listed} | known
    missing = sorted(symbols - set(known))
    if missing:
        raise ValueError(f"{bot.venue} lists {', '.join(missing)} no more, and no row tells of it")
    return known
