"""The numbers behind a bot's charts, as JSON for their scripts: small, private, and only what is new.

With `since` a script gets what came after the last that it has. The venue may be asked for candles, so no
transaction is open here. Not yours: not there, for a chart as for a page.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from bots import models, queries
from bots.pages.bot_charts import RANGE, SPANS
from bots.pages.chart_data import candle_json, equity_json
from bots.queries.charts import (
    MOST_CANDLES,
    NoSuchChart,
    candles_of,
    chart_lengths,
    fill_marks,
)
from bots.queries.worth import stands_of
from bots.views.finding import own_bot
from market.domain.data import from_milliseconds

_private = cache_control(private=True, no_cache=True)


class _Unreadable(ValueError):
    """A parameter that no script of ours sends."""


@require_safe
@_private
@conditional_page
def bot_equity(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """A bot's equity: `range` 1h, 1d, 7d or all; `since` (ms) for what came after it."""
    bot = own_bot(request, bot_id)
    chosen = request.GET.get("range", RANGE)
    try:
        if chosen not in SPANS:
            raise _Unreadable(f"range is one of {', '.join(SPANS)}")
        since = _since(request)
    except _Unreadable as error:
        return JsonResponse({"problem": str(error)}, status=400)
    span = SPANS[chosen]
    start = since or (None if span is None else timezone.now() - span)
    points = queries.equity_of(bot, start).points
    (stand,), _ = stands_of(models.Bot.objects.filter(pk=bot.pk))
    worth = stand.worth
    now = None if worth.as_of is None else (worth.as_of, worth.equity)
    return JsonResponse(equity_json(points, now))


@require_safe
@_private
@conditional_page
def bot_candles(request: HttpRequest, bot_id: UUID) -> HttpResponse:
    """Candles of a `symbol` of the bot, its fills and levels: `timeframe` in seconds (the bot's own), at most
    `count`, from the candle that opened at `since` (ms) on. 503 with a sentence, and with what is recorded,
    while the venue is silent."""
    bot = own_bot(request, bot_id)
    try:
        since = _since(request)
        seconds = _number(request, "timeframe", bot.timeframe_seconds)
        count = _number(request, "count", MOST_CANDLES)
    except _Unreadable as error:
        return JsonResponse({"problem": str(error)}, status=400)
    symbol = request.GET.get("symbol") or bot.symbols[0]
    try:
        chart = candles_of(bot, symbol, _length(bot, seconds), count=count, since=since)
    except NoSuchChart as error:
        raise Http404(str(error)) from error
    shown = chart.candles
    fills = fill_marks(bot, symbol, shown[0].opened_at) if shown else ()
    held = next((one for one in queries.positions_of(bot) if one.symbol == symbol), None)
    return JsonResponse(candle_json(chart, fills, held), status=503 if chart.problem else 200)


def _length(bot: models.Bot, seconds: int) -> timedelta:
    known = (one for one in chart_lengths(bot) if one // timedelta(seconds=1) == seconds)
    found = next(known, None)
    if found is None:
        raise NoSuchChart(f"there are no candles of {seconds} seconds")
    return found


def _since(request: HttpRequest) -> datetime | None:
    milliseconds = _number(request, "since", 0)
    try:
        return from_milliseconds(milliseconds) if milliseconds else None
    except OverflowError as error:
        raise _Unreadable("since is an instant in milliseconds since 1970") from error


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise _Unreadable(f"{name} is a whole number")
    return int(text)
