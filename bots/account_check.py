"""The owner's limits over all bots, re-checked at the claim of an opening order.

It reads under the lock of the owner's `AccountLimits` row, so that of five bots deciding at one instant
each sees the claims of those before it. Prices of other assets are their entry prices: what was staked.
The asset that is ordered is valued at the order's own price.
"""

from collections.abc import Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import timezone

from bots import models
from market.domain.enums import OrderPurpose
from market.domain.numbers import ZERO
from market.domain.orders import OPEN_STATUSES, Order
from risk.account import AccountCaps, Stake, review_account
from risk.domain import Code, Denial
from risk.models import AccountLimits

UNKNOWN = Decimal("Infinity")
"""The value of an order that nobody can value: more than any limit."""


def _price_of(order: Order | models.Order) -> Decimal | None:
    """At what an entry is valued: its limit; at market the further of its exits, which is more than it pays."""
    exits = [price for price in (order.stop_price, order.target_price) if price is not None]
    return order.price or max(exits, default=None)


class AccountCheck:
    """Asked by the ledger with the orders of a claim, inside its transaction."""

    def __init__(
        self, owner_id: int, time_zone: str, bases: dict[str, tuple[str, Decimal]]
    ) -> None:
        """`bases`: base asset and contract size of each symbol."""
        self._owner_id = owner_id
        self._time_zone = time_zone
        self._bases = bases

    def __call__(self, orders: Sequence[Order]) -> str | None:
        """The reason why the entry among the orders may not leave; None lets it pass. Locks the owner's
        limits until the transaction ends."""
        entry = next((one for one in orders if one.purpose is OrderPurpose.ENTRY), None)
        row = AccountLimits.objects.select_for_update().filter(user_id=self._owner_id).first()
        if row is None or entry is None:
            return None
        denial = self._judge(row, entry, orders)
        return None if denial is None else str(denial)

    def ask(self, entry: Order) -> Denial | None:
        """What would be said to an entry now. It locks nothing, so it is an answer for people only."""
        row = AccountLimits.objects.filter(user_id=self._owner_id).first()
        return None if row is None else self._judge(row, entry, (entry,))

    def _judge(self, row: AccountLimits, entry: Order, orders: Sequence[Order]) -> Denial | None:
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
            return Denial(
                symbol=entry.symbol,
                code=Code.ACCOUNT_GROSS_EXPOSURE,
                context={"reason": "an order at market that names no price can't be valued"},
            )
        wanted = Stake(base=base, notional=notional, margin=notional / entry.leverage)
        known = {} if price is None else {base: price}
        # First what is under way, then what is held: a fill in between is counted twice, never missed.
        under_way = self._under_way(known, orders)
        stakes = [*under_way, *self._held(known)]
        lost = self._lost_today() if caps.daily_loss is not None else ZERO
        return review_account(wanted, stakes, lost, caps, entry.symbol)

    def _held(self, known: dict[str, Decimal]) -> list[Stake]:
        found = models.Position.objects.filter(bot__owner_id=self._owner_id).only(
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

    def _under_way(self, known: dict[str, Decimal], mine: Sequence[Order]) -> list[Stake]:
        """Entries that may still fill, ours apart."""
        found = models.Order.objects.filter(
            Q(status__in=OPEN_STATUSES), bot__owner_id=self._owner_id, purpose=OrderPurpose.ENTRY
        ).exclude(pk__in=[order.client_order_id for order in mine])
        stakes = []
        for row in found:
            price = known.get(row.base) or _price_of(row)
            left = (row.quantity - row.filled_quantity) * row.contract_size
            notional = row.quote_quantity or (UNKNOWN if price is None else left * price)
            stakes.append(Stake(base=row.base, notional=notional, margin=notional / row.leverage))
        return stakes

    def _lost_today(self) -> Decimal:
        """What all bots lost since the owner's midnight; one not seen today has lost nothing yet."""
        zone = ZoneInfo(self._time_zone)
        today = timezone.now().astimezone(zone).date()
        lost = ZERO
        states = models.BotState.objects.filter(bot__owner_id=self._owner_id)
        for state in states.only("day_open_nav", "equity", "equity_at"):
            if state.equity_at.astimezone(zone).date() == today and state.day_open_nav:
                lost += state.day_open_nav - state.equity
        return max(lost, ZERO)
