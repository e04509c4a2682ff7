"""The simulated venue behind the Broker port: paper trading and replay.

It walks every bar that it has not seen, jumping over the quiet ones, then meets the quote where the
settings say so. It holds one frozen `SimState`; who must survive a crash stores `state` before
answering (`sim_venue.stored`). It keeps no time: now is the last snapshot's `as_of`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from market.domain.data import (
    CandleSeries,
    FundingSeries,
    MarketSnapshot,
    from_milliseconds,
    to_milliseconds,
)
from market.domain.enums import FillReason
from market.domain.instruments import Instrument
from market.domain.numbers import ZERO
from market.domain.orders import Order, OrderReport, VenueReport
from market.venues.sim_venue.moments import (
    AddMargin,
    Advance,
    Bar,
    BarMoment,
    CancelOrder,
    CloseAll,
    Command,
    FundingDue,
    Moment,
    QuoteMoment,
    SubmitOrder,
)
from market.venues.sim_venue.next_event import Series, next_event, next_event_of
from market.venues.sim_venue.settings import MILLISECOND, SimSettings
from market.venues.sim_venue.state import ENDED_KEPT, SimState
from market.venues.sim_venue.step import fate, step
from market.venues.sim_venue.tracks import Track, aligned_marks

_ADVANCE = Advance()
NEVER = 2**63


class SimBroker:
    """A Broker over the simulated venue. Not safe for use by two threads at once."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        settings: SimSettings | None = None,
        cash: Decimal = ZERO,
        state: SimState | None = None,
    ) -> None:
        """`state` continues an account (`cash` is then ignored); otherwise one opens with `cash`."""
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._settings = SimSettings() if settings is None else settings
        self._state = SimState(cash=cash) if state is None else state
        self._tracks: dict[str, Track] = {}
        self._fills: dict[str, tuple[OrderReport, ...]] = {}
        self._snapshot: MarketSnapshot | None = None
        self._moment: Moment | None = None
        self._quiet: tuple[SimState, str, CandleSeries, int] | None = None
        self._aligned: dict[tuple[int, int], tuple[CandleSeries, CandleSeries, CandleSeries]] = {}

    @property
    def state(self) -> SimState:
        """All that the venue remembers, up to the last bar walked."""
        until = {symbol: track.until for symbol, track in self._tracks.items() if track.until >= 0}
        if any(self._state.processed_until.get(symbol) != at for symbol, at in until.items()):
            self._state = replace(
                self._state, processed_until={**self._state.processed_until, **until}
            )
        return self._state

    # --- the port ---------------------------------------------------------------------------------

    def sync(self, snapshot: MarketSnapshot) -> Sequence[VenueReport]:
        """Walk every bar that is new, in order of time, then the quotes. Raises VenueUnavailable when bars
        are missing under something that is held or rests."""
        windows = [
            (track, track.follow(item, self._is_exposed))
            for item in snapshot.instruments
            if (track := self._track(item.symbol)) is not None
        ]
        if len(windows) > 1 and len({track.series.timeframe for track, _ in windows}) > 1:
            raise ValueError("the bars of a snapshot have one timeframe")
        reports: list[VenueReport] = []
        self._walk(windows, reports)
        self._snapshot, self._moment = snapshot, None
        if self._settings.execute_on_quotes:
            moment = self._now()
            if isinstance(moment, QuoteMoment):
                reports += self._step(moment, _ADVANCE)
        return reports

    def submit(self, order: Order, attached: Sequence[Order] = ()) -> Sequence[VenueReport]:
        """Send an order with its protection. On bars it is answered ACCEPTED (or REJECTED) and fills at
        the open of the bar in which it arrives; on quotes, without latency, it fills at once."""
        return self._step(self._now(), SubmitOrder(order=order, attached=tuple(attached)))

    def cancel(self, client_order_id: str) -> Sequence[VenueReport]:
        """Cancel at once. An ended order is answered with its last status; an id nobody knows without a
        status, reason UNKNOWN_ORDER."""
        return self._step(self._now(), CancelOrder(client_order_id=client_order_id))

    def lookup(self, order: Order) -> Sequence[VenueReport]:
        """The fills of an order and its status; nothing when the venue does not know it (any more)."""
        status = self.fate_of(order.client_order_id)
        if status.status is None:
            return ()
        return (*self._fills.get(order.client_order_id, ()), status)

    # --- what only a simulated venue can do -------------------------------------------------------

    def fate_of(self, client_order_id: str) -> OrderReport:
        """Where an order stands or how it ended; status None and UNKNOWN_ORDER when nobody knows it."""
        now = self._now().at
        held = self._state.orders.get(client_order_id)
        if held is None:
            return fate(client_order_id, self._state.ended.get(client_order_id), now)
        return OrderReport(
            at=from_milliseconds(now),
            symbol=held.order.symbol,
            client_order_id=client_order_id,
            status=held.status,
            quantity=held.quantity,
            venue_order_id=held.venue_order_id,
        )

    def add_margin(self, symbol: str, amount: Decimal) -> None:
        """Put cash behind a position. Raises OrderRefused without one, or without the cash."""
        self._step(self._now(), AddMargin(symbol=symbol, amount=amount))

    def close_all_at(
        self,
        prices: Mapping[str, Decimal],
        at: datetime,
        reason: FillReason = FillReason.END_OF_DATA,
    ) -> Sequence[VenueReport]:
        """Close every open position at its price (taker fee, no slippage), cancel everything else."""
        moment = BarMoment.instant(to_milliseconds(at))
        return self._step(moment, CloseAll(prices=prices, reason=reason))

    def next_event_bar(
        self,
        bars: Mapping[str, Series],
        start: int,
        stop: int,
        funding: Mapping[str, FundingSeries] | None = None,
    ) -> int:
        """The first index in [start, stop) whose bar makes the venue report anything, else `stop`. For the
        replay harness, which holds the whole series; all of them stand on the same times. A `sync` that
        follows jumps there without searching again."""
        laid = {
            symbol: (trade, None if mark is None else self._laid(trade, mark))
            for symbol, (trade, mark) in bars.items()
        }
        found = next_event(self._state, laid, start, stop, self._settings, funding)
        if len(bars) == 1:
            [(symbol, (trade, _))] = bars.items()
            self._quiet = (self._state, symbol, trade.base, found)
        return found

    # --- walking ----------------------------------------------------------------------------------

    def _step(self, moment: Moment, command: Command) -> Sequence[VenueReport]:
        self._state, reports = step(self._state, moment, command, self._settings, self._instruments)
        for report in reports:
            if isinstance(report, OrderReport) and report.fill and report.client_order_id:
                self._remember(report.client_order_id, report)
        return reports

    def _remember(self, client_order_id: str, report: OrderReport) -> None:
        """Keep the fills of the last orders, for when their answer was lost."""
        known = self._fills.get(client_order_id, ())
        self._fills[client_order_id] = (*known, report)
        if len(self._fills) > ENDED_KEPT:
            del self._fills[next(iter(self._fills))]

    def _track(self, symbol: str) -> Track | None:
        track = self._tracks.get(symbol)
        if track is None and symbol in self._instruments:
            track = Track(symbol, self._state.processed_until.get(symbol, -1))
            self._tracks[symbol] = track
        return track

    def _is_exposed(self, symbol: str) -> bool:
        return symbol in self._state.positions or any(
            held.order.symbol == symbol for held in self._state.orders.values()
        )

    def _laid(self, trade: CandleSeries, mark: CandleSeries) -> CandleSeries:
        key = (id(trade.base), id(mark.base))
        known = self._aligned.get(key)
        if known is None:
            laid = aligned_marks(trade.base, mark.base)
            self._aligned[key] = known = (
                trade.base,
                mark.base,
                laid,
            )  # holding them keeps ids theirs
        return known[2]

    def _walk(self, windows: Sequence[tuple[Track, int]], reports: list[VenueReport]) -> None:
        """Step through every bar that may matter, in order of time; bars of one time are one moment."""
        while True:
            at = NEVER
            for track, stop in windows:
                track.event = self._next_event(track, stop)
                track.event_at = track.opened_at(track.event) if track.event < stop else NEVER
                at = min(at, track.event_at)
            if at == NEVER:
                break
            reports += self._live(windows, at)
        for track, stop in windows:
            track.next = max(track.next, stop)

    def _live(self, windows: Sequence[tuple[Track, int]], at: int) -> Sequence[VenueReport]:
        """One moment: every symbol's bar that opened at `at`."""
        bars: dict[str, Bar] = {}
        funding: list[FundingDue] = []
        for track, stop in windows:
            index = track.event if track.event_at == at else track.seek(at, stop)
            if index < stop and track.opened_at(index) == at:
                bars[track.symbol] = track.bar(index)
                if track.rates is not None and track.symbol in self._state.changes:
                    after = self._state.funding_until.get(track.symbol, -1)
                    funding += track.dues(index, after)
                index += 1
            track.next = index
        moment = BarMoment(
            opened_at=at,
            timeframe=windows[0][0].series.timeframe,
            bars=bars,
            funding=tuple(funding),
        )
        return self._step(moment, _ADVANCE)

    def _next_event(self, track: Track, stop: int) -> int:
        start, trade = track.next, track.trade
        if start >= stop or trade is None:
            return stop
        state, quiet = self._state, self._quiet
        if (
            quiet is not None
            and quiet[0] is state
            and quiet[1] == track.symbol
            and quiet[2] is trade
        ):
            return min(max(start, quiet[3]), stop)
        return next_event_of(
            state, track.symbol, trade, track.mark, start, stop, self._settings, track.rates
        )

    def _now(self) -> Moment:
        """The moment that orders meet: the quotes, else the last closed bars."""
        if self._moment is not None:
            return self._moment
        snapshot = self._snapshot
        if snapshot is None:
            return BarMoment.instant(max(self._state.processed_until.values(), default=0))
        at = to_milliseconds(snapshot.as_of)
        if self._settings.execute_on_quotes:
            self._moment = QuoteMoment(
                at=at,
                quotes={item.symbol: item.quote for item in snapshot.instruments if item.quote},
                books={item.symbol: item.book for item in snapshot.instruments if item.book},
            )
        else:
            self._moment = BarMoment(
                opened_at=at,
                timeframe=0 * MILLISECOND,
                bars={
                    symbol: track.bar(track.next - 1)
                    for symbol, track in self._tracks.items()
                    if track.next
                },
                at=at,
            )
        return self._moment
