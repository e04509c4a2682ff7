"""The simulated venue behind the Broker port with a memory of its own: what paper trading speaks to.

Every answer that changes anything is committed before it is given: the state by compare-and-swap on its
version, and with it a record of all that happened. So a process may die anywhere: whoever comes next
hears what nobody has surely heard. It does not know the desk's ledger and never joins a transaction
of its caller, whose rollback would take back what the venue has already said.

An order that nobody knew here when it was asked for does not come afterwards: the question is written
down, and a sender who slept through its receive window is refused.

An answer counts as heard once the same object is called again (its caller books each answer at once, and
one that died or lost its lease calls no more), or when `acknowledge` says so.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, Value
from django.db.models.functions import Greatest

from market.domain.data import MarketSnapshot, from_milliseconds
from market.domain.instruments import Instrument
from market.domain.orders import RECEIVE_WINDOW, Order, OrderReport, VenueReport
from market.errors import AccountUnusable, OrderRefused, VenueUnavailable
from market.models import SimAccount, SimRecord, SimRecordKind
from market.venues.paper_records import (
    Record,
    ended_of,
    exposed_symbols,
    new_records,
    report_of,
    state_of,
    state_text,
    status_now,
)
from market.venues.sim_broker import SimBroker
from market.venues.sim_venue.settings import MILLISECOND, SimSettings
from market.venues.sim_venue.state import SimState
from market.venues.sim_venue.stored import StoredStateError

TRIES: Final = 8
WALK_LAG: Final = timedelta(minutes=10) // MILLISECOND
"""How far the row may lag behind the bars walked over something held: walked again they give nothing."""

Run = Callable[[SimBroker], Sequence[VenueReport]]


@dataclass(slots=True, kw_only=True)
class _Seat:
    """The account as last read or written, and the machine that goes on from there."""

    version: int
    last_sequence: int
    told: int
    asked_at: datetime | None
    stored: SimState
    broker: SimBroker
    has_seen_market: bool = False


class PaperBroker:
    """A Broker over one SimAccount row. One caller at a time; others over the same row may race it."""

    def __init__(
        self,
        account_id: int,
        instruments: Iterable[Instrument],
        settings: SimSettings,
        row: SimAccount | None = None,
    ) -> None:
        """`row`: the account as just read by someone else, so that `peek` needs no query."""
        self._account_id = account_id
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._settings = settings
        self._snapshot: MarketSnapshot | None = None
        self._heard = 0
        self._row = row
        self._seat: _Seat | None = None

    # --- the port ---------------------------------------------------------------------------------

    def sync(self, snapshot: MarketSnapshot) -> Sequence[VenueReport]:
        """What is recorded and was not surely heard, the present status of the orders concerned, then what
        is new. Raises VenueUnavailable as the simulated broker does, and when the row can't be read or
        written; AccountUnusable when there is no such account."""

        def walk(broker: SimBroker) -> Sequence[VenueReport]:
            return broker.sync(snapshot)

        self._stand_alone()
        for _ in range(TRIES):
            seat = self._current_seat()
            retold = self._retold(seat, snapshot.as_of)
            reports = self._attempt(seat, walk)
            if reports is not None:
                self._heard = seat.last_sequence
                self._snapshot, seat.has_seen_market = snapshot, True
                return [*retold, *reports]
        raise self._crowded()

    def submit(self, order: Order, attached: Sequence[Order] = ()) -> Sequence[VenueReport]:
        """Send an order with its protection, once. A client id ever used before is answered without a
        status, reason DUPLICATE_CLIENT_ID: look it up. Raises VenueUnavailable when the outcome is unknown,
        OrderRefused when it comes too late."""
        ids = [order.client_order_id, *(child.client_order_id for child in attached)]
        return self._speak(
            lambda broker: broker.submit(order, attached), ids, made_at=order.created_at
        )

    def cancel(self, client_order_id: str) -> Sequence[VenueReport]:
        """Cancel at once. An ended order is answered with its last status; an id nobody knows without a
        status, reason UNKNOWN_ORDER."""
        self._stand_alone()
        seat = self._seat
        if seat is None or client_order_id not in seat.stored.orders:
            seat = self._current_seat()
        if client_order_id in seat.stored.orders:
            return self._speak(lambda broker: broker.cancel(client_order_id), [client_order_id])
        return [self._status(seat, client_order_id, self._records_of([client_order_id]))]

    def lookup(self, order: Order) -> Sequence[VenueReport]:
        """All fills of an order of ours, then its status; nothing when no such order ever came, nor comes
        once its receive window has passed."""
        self._stand_alone()
        for _ in range(TRIES):
            seat = self._current_seat()
            records = self._records_of([order.client_order_id])
            status = self._status(seat, order.client_order_id, records)
            if status.status is not None:
                fills = [report_of(one.kind, one.payload) for one in records if not _is_end(one)]
                return [*fills, status]
            if self._note_question(seat, status.at):
                return ()
        raise self._crowded()

    # --- what only this venue can do --------------------------------------------------------------

    def peek(self, snapshot: MarketSnapshot) -> bool:
        """True when `sync` would report or write anything. Changes nothing; asks the database only when
        no row was given and nothing read yet."""
        seat = self._seat
        if seat is None:
            row, self._row = self._row or self._read(), None
            seat = self._sit(row)
        if self._heard < seat.last_sequence:
            return True
        scratch = SimBroker(self._instruments.values(), self._settings, state=seat.stored)
        try:
            reports = scratch.sync(snapshot)
        except VenueUnavailable:
            return True
        return bool(reports) or _must_write(seat.stored, scratch.state)

    def acknowledge(self) -> None:
        """Everything answered so far is booked: don't tell it again. For a caller that calls no more."""
        self._stand_alone()
        unheard = SimAccount.objects.filter(pk=self._account_id, told__lt=self._heard)
        seat = self._seat
        if seat is not None and seat.told < self._heard:
            try:
                unheard.update(told=self._heard)
            except (OperationalError, InterfaceError) as error:
                raise VenueUnavailable(f"the simulated venue does not answer: {error}") from error
            seat.told = self._heard

    # --- reading the row --------------------------------------------------------------------------

    def _stand_alone(self) -> None:
        if connection.in_atomic_block:
            raise RuntimeError("the simulated venue was called inside a transaction of its caller")

    def _read(self) -> SimAccount:
        try:
            return SimAccount.objects.get(pk=self._account_id)
        except SimAccount.DoesNotExist:
            raise AccountUnusable(f"there is no simulated account {self._account_id}") from None
        except (OperationalError, InterfaceError) as error:
            raise VenueUnavailable(f"the simulated venue does not answer: {error}") from error

    def _current_seat(self) -> _Seat:
        """The account as it is now: one query, read anew only when somebody else has written."""
        row = self._read()
        seat = self._seat
        if seat is None or seat.version != row.version:
            return self._sit(row)
        return seat

    def _sit(self, row: SimAccount, reminded: Sequence[SimRecord] = ()) -> _Seat:
        """Take a row's state in hand, reminded of orders that ended."""
        ended = [(one.client_order_id, one.payload) for one in reminded if _is_end(one)]
        try:
            state = state_of(row.state, self._instruments, ended)
        except StoredStateError as error:
            raise VenueUnavailable(f"simulated account {row.pk}: {error}") from error
        self._heard = max(self._heard, row.told)
        self._seat = _Seat(
            version=row.version,
            last_sequence=row.last_sequence,
            told=row.told,
            asked_at=row.asked_at,
            stored=state,
            broker=SimBroker(self._instruments.values(), self._settings, state=state),
        )
        return self._seat

    def _records_of(self, ids: Sequence[str]) -> Sequence[SimRecord]:
        records = SimRecord.objects.filter(account_id=self._account_id, client_order_id__in=ids)
        return self._listed(records.order_by("sequence"))

    def _listed(self, records: Iterable[SimRecord]) -> Sequence[SimRecord]:
        try:
            return list(records)
        except (OperationalError, InterfaceError) as error:
            raise VenueUnavailable(f"the simulated venue does not answer: {error}") from error

    # --- what is told again -----------------------------------------------------------------------

    def _retold(self, seat: _Seat, now: datetime) -> Sequence[VenueReport]:
        """Records not surely heard, as they were, then how things stand: a status of the past would
        look like one that went back. Live orders are told too: their quantity may have grown unheard."""
        if self._heard >= seat.last_sequence:
            return ()
        records = SimRecord.objects.filter(account_id=self._account_id, sequence__gt=self._heard)
        unheard = self._listed(records.order_by("sequence"))
        concerned = dict.fromkeys(one.client_order_id for one in unheard if one.client_order_id)
        ended = ended_of((one.client_order_id, one.payload) for one in unheard if _is_end(one))
        return [
            *(report_of(one.kind, one.payload) for one in unheard if not _is_end(one)),
            *(
                status_now(seat.stored, ended, client_order_id, now)
                for client_order_id in concerned | dict.fromkeys(seat.stored.orders)
            ),
        ]

    # --- writing ----------------------------------------------------------------------------------

    def _attempt(self, seat: _Seat, run: Run) -> Sequence[VenueReport] | None:
        """Run a call on the machine and make what it did durable. None: somebody else was faster."""
        self._seat = None  # until it is known that machine and row agree
        reports = run(seat.broker)
        after = seat.broker.state
        records = list(new_records(seat.stored, after, reports))
        if records or _must_write(seat.stored, after):
            if not self._commit(seat, after, records):
                return None
            if self._heard == seat.last_sequence:
                self._heard += len(records)
            seat.last_sequence += len(records)
            seat.version += 1
            seat.stored = after
        self._seat = seat
        return reports

    def _speak(
        self, run: Run, ids: Sequence[str], made_at: datetime | None = None
    ) -> Sequence[VenueReport]:
        """Run a command until it and the row agree; `ids` are the orders that it is about, `made_at` is when
        a new one was made."""
        self._stand_alone()
        seat = self._seat or self._current_seat()
        for _ in range(TRIES):
            if made_at and seat.asked_at and seat.asked_at - made_at > RECEIVE_WINDOW:
                raise OrderRefused(f"it came after {seat.asked_at:%H:%M:%S}, when nobody knew it")
            reports = self._attempt(seat, self._prepared(seat, run))
            if reports is not None:
                return reports
            seat = self._sit(self._read(), self._records_of(ids))
        raise self._crowded()

    def _prepared(self, seat: _Seat, run: Run) -> Run:
        """The command; on a machine just read, after showing it the market that the caller has seen."""
        snapshot = self._snapshot
        if seat.has_seen_market or snapshot is None:
            return run
        seat.has_seen_market = True
        return lambda broker: [*broker.sync(snapshot), *run(broker)]

    def _commit(self, seat: _Seat, after: SimState, records: Sequence[Record]) -> bool:
        """One short transaction. False when another writer came first, or a new id is one that ended."""
        row = SimAccount.objects.filter(pk=self._account_id, version=seat.version)
        met = _new_ids(seat.stored, after, records)
        if met:
            ended = SimRecord.objects.filter(
                account_id=self._account_id, kind=SimRecordKind.ENDED, client_order_id__in=met
            )
            row = row.filter(~Exists(ended))
        try:
            with transaction.atomic():
                written: int = row.update(
                    state=state_text(after),
                    version=seat.version + 1,
                    last_sequence=seat.last_sequence + len(records),
                    told=Greatest("told", Value(self._heard)),
                )
                if written and records:
                    SimRecord.objects.bulk_create(self._rows(seat.last_sequence, records))
        except (OperationalError, InterfaceError) as error:
            raise VenueUnavailable(f"nobody knows what the simulated venue did: {error}") from error
        return bool(written)

    def _note_question(self, seat: _Seat, at: datetime) -> bool:
        """Write down that somebody asked at `at` for an order that nobody knew; False when others wrote
        meanwhile, perhaps that very order."""
        if seat.asked_at is not None and seat.asked_at >= at:
            return True  # whatever was written since, the seat would be another
        row = SimAccount.objects.filter(pk=self._account_id, version=seat.version)
        try:
            written = row.update(version=seat.version + 1, asked_at=at)
        except (OperationalError, InterfaceError) as error:
            raise VenueUnavailable(f"the simulated venue does not answer: {error}") from error
        if written:
            seat.version, seat.asked_at = seat.version + 1, at
        return bool(written)

    def _rows(self, last_sequence: int, records: Sequence[Record]) -> list[SimRecord]:
        return [
            SimRecord(
                account_id=self._account_id,
                sequence=last_sequence + place,
                kind=record.kind,
                client_order_id=record.client_order_id,
                payload=record.payload,
                at=record.at,
            )
            for place, record in enumerate(records, start=1)
        ]

    # --- answers ----------------------------------------------------------------------------------

    def _status(
        self, seat: _Seat, client_order_id: str, records: Sequence[SimRecord]
    ) -> OrderReport:
        if self._snapshot is None:
            now = from_milliseconds(max(seat.stored.processed_until.values(), default=0))
        else:
            now = self._snapshot.as_of
        ended = ended_of((one.client_order_id, one.payload) for one in records if _is_end(one))
        return status_now(seat.stored, ended, client_order_id, now)

    def _crowded(self) -> VenueUnavailable:
        return VenueUnavailable(
            f"simulated account {self._account_id} was written by others {TRIES} times in a row"
        )


def _is_end(record: SimRecord) -> bool:
    return bool(record.kind == SimRecordKind.ENDED)


def _must_write(stored: SimState, after: SimState) -> bool:
    """True when live orders changed, or the row lags too far behind the bars walked. All else that
    changes a state leaves a record, and is written for that."""
    return stored.orders != after.orders or any(
        after.processed_until.get(symbol, -1) - stored.processed_until.get(symbol, -1) > WALK_LAG
        for symbol in exposed_symbols(after)
    )


def _new_ids(stored: SimState, after: SimState, records: Sequence[Record]) -> Sequence[str]:
    """Client ids that the venue had not met before: they must not be those of orders that ended."""
    ended = (one.client_order_id for one in records if one.kind is SimRecordKind.ENDED)
    return [one for one in (*after.orders, *ended) if one not in stored.orders]
