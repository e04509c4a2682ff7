"""The limits over all bots of a user, and the operator's over all users, re-checked at the claim of an opening order.

It reads under the locks of their `AccountLimits` rows, so that of five bots deciding at one instant each sees the
claims of those before it. Prices of other assets are their entry prices: what was staked. The asset that is ordered
is valued at the order's own price. The trap avoided: a user who reads of the others' money in a denial.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import F, Q, QuerySet

from bots import models
from market.domain.enums import OrderPurpose
from market.domain.numbers import ZERO
from market.domain.orders import OPEN_STATUSES, Order
from market.ports import Clock
from risk.account import AccountCaps, Stake, review_account
from risk.domain import Code, Denial
from risk.models import AccountLimits, DailyLossStop

UNKNOWN = Decimal("Infinity")
"""The value of an order that nobody can value: more than any limit."""


def _price_of(order: Order | models.Order) -> Decimal | None:
    """At what an entry is valued: its limit; at market the further of its exits, which is more than it pays."""
    exits = [price for price in (order.stop_price, order.target_price) if price is not None]
    return order.price or max(exits, default=None)


def day_of(row: AccountLimits, now: datetime) -> date:
    """The day in which a loss counts under these limits: the user's own; over all users, UTC's."""
    return now.astimezone(ZoneInfo("UTC" if row.user is None else row.user.time_zone)).date()


def lost_today(user_id: int | None, now: datetime) -> Decimal:
    """What all bots of a user (None: of everybody) lost since their owner's midnight, ≥ 0; one that was not seen
    today has lost nothing yet."""
    lost = ZERO
    states = models.BotState.objects.filter(_of(user_id)).select_related("bot__owner")
    for state in states.only("day_open_nav", "equity", "equity_at", "bot__owner__time_zone"):
        zone = ZoneInfo(state.bot.owner.time_zone)
        is_today = state.equity_at.astimezone(zone).date() == now.astimezone(zone).date()
        if is_today and state.day_open_nav:
            lost += state.day_open_nav - state.equity
    return max(lost, ZERO)


def _of(user_id: int | None) -> Q:
    return Q() if user_id is None else Q(bot__owner_id=user_id)


class AccountCheck:
    """Asked by the ledger with the orders of a claim, inside its transaction."""

    def __init__(self, owner_id: int, bases: dict[str, tuple[str, Decimal]], clock: Clock) -> None:
        """`bases`: base asset and contract size of each symbol."""
        self._owner_id = owner_id
        self._bases = bases
        self._clock = clock

    def __call__(self, orders: Sequence[Order]) -> str | None:
        """The reason why the entry among the orders may not leave; None lets it pass. Locks the owner's
        limits, then the operator's, until the transaction ends."""
        entry = next((one for one in orders if one.purpose is OrderPurpose.ENTRY), None)
        if entry is None:
            return None
        locked = self._binding().select_for_update(of=("self",))
        denial = self._first_denial(entry, orders, locked)
        return None if denial is None else str(denial)

    def ask(self, entry: Order) -> Denial | None:
        """What would be said to an entry now. It locks nothing, so it is an answer for people only."""
        return self._first_denial(entry, (entry,), self._binding())

    def _binding(self) -> QuerySet[AccountLimits]:
        rows = AccountLimits.objects.filter(Q(user=self._owner_id) | Q(user=None))
        return rows.select_related("user").order_by(F("user").asc(nulls_last=True))

    def _first_denial(
        self, entry: Order, orders: Sequence[Order], rows: Iterable[AccountLimits]
    ) -> Denial | None:
        for row in rows:
            denial = self._judged(entry, orders, row)
            if denial is not None:
                return denial
        return None

    def _judged(self, entry: Order, orders: Sequence[Order], row: AccountLimits) -> Denial | None:
        caps = AccountCaps(
            exposure_per_asset=row.max_exposure_per_asset,
            gross_exposure=row.max_gross_exposure,
            margin_used=row.max_margin_used,
            daily_loss=row.max_daily_loss,
        )
        if caps.is_empty:
            return None
        base, size = self._bases[entry.symbol]
        price = _price_of(entry)
        notional = (
            entry.quote_quantity
            if price is None or entry.quote_quantity
            else entry.quantity * size * price
        )
        if notional is None:
            reason = "an order at market that names no price can't be valued"
            return Denial(
                symbol=entry.symbol, code=Code.ACCOUNT_GROSS_EXPOSURE, context={"reason": reason}
            )
        wanted = Stake(base=base, notional=notional, margin=notional / entry.leverage)
        known = {} if price is None else {base: price}
        # First what is under way, then what is held: a fill in between is counted twice, never missed.
        under_way = self._under_way(known, orders, row.user_id)
        stakes = [*under_way, *self._held(known, row.user_id)]
        lost = ZERO if caps.daily_loss is None else self._lost(row)
        denial = review_account(wanted, stakes, lost, caps, entry.symbol)
        if denial is None or row.user_id is not None:
            return denial
        return Denial(symbol=entry.symbol, code=Code.OPERATOR_LIMIT)

    def _lost(self, row: AccountLimits) -> Decimal:
        """The loss of the day: what it is, or what it was when it stopped the day."""
        now = self._clock.now()
        stops = DailyLossStop.objects.filter(user=row.user_id, day=day_of(row, now))
        return max((lost_today(row.user_id, now), *stops.values_list("lost", flat=True)))

    def _held(self, known: dict[str, Decimal], user_id: int | None) -> list[Stake]:
        found = models.Position.objects.filter(_of(user_id)).only(
            "base", "contract_size", "quantity", "entry_cost", "margin"
        )
        return [
            Stake(
                base=row.base,
                notional=abs(row.quantity) * row.contract_size * known[row.base]
                if row.base in known
                else row.entry_cost,
                margin=row.margin or row.entry_cost,
            )
            for row in found
        ]

    def _under_way(
        self, known: dict[str, Decimal], mine: Sequence[Order], user_id: int | None
    ) -> list[Stake]:
        """Entries that may still fill, ours apart."""
        found = models.Order.objects.filter(
            _of(user_id), status__in=OPEN_STATUSES, purpose=OrderPurpose.ENTRY
        ).exclude(pk__in=[order.client_order_id for order in mine])
        stakes = []
        for row in found:
            price = known.get(row.base) or _price_of(row)
            left = (row.quantity - row.filled_quantity) * row.contract_size
            notional = row.quote_quantity or (UNKNOWN if price is None else left * price)
            stakes.append(Stake(base=row.base, notional=notional, margin=notional / row.leverage))
        return stakes
