"""The venue of round numbers on a paper account: the same orders and bars, a memory in the database."""

from collections.abc import Sequence
from decimal import Decimal as D

from market.domain.orders import Order, VenueReport
from market.models import SimAccount
from market.services import open_sim_account
from market.venues.paper_broker import PaperBroker
from market.venues.paper_records import state_of
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import SimState
from tests.market.sim_broker.venue import Venue


class PaperVenue(Venue):
    """A Venue whose broker is a PaperBroker. `restart` puts a new object over the same account."""

    broker: PaperBroker  # type: ignore[assignment]

    def __init__(self, rows, *, cash=10_000, **options) -> None:
        super().__init__(rows, cash=cash, **options)
        of_data = ("marks", "instrument", "instruments", "funding", "state")
        self.settings = SimSettings(**{k: v for k, v in options.items() if k not in of_data})
        self.account = open_sim_account("USDT", D(cash), self.settings)
        self.restart()

    @property
    def state(self) -> SimState:
        """What the row holds."""
        return state_of(self.row.state, self.instruments)

    @property
    def row(self) -> SimAccount:
        return SimAccount.objects.get(pk=self.account.pk)

    def new_broker(self, row: SimAccount | None = None) -> PaperBroker:
        return PaperBroker(self.account.pk, self.instruments.values(), self.settings, row)

    def restart(self) -> PaperBroker:
        self.broker = self.new_broker()
        return self.broker

    def again(self) -> list[VenueReport]:
        """What a new object says to the same market."""
        return self.keep(self.restart().sync(self.snapshot(self.walked)))

    def cancel(self, order: Order) -> Sequence[VenueReport]:
        return self.broker.cancel(order.client_order_id)
