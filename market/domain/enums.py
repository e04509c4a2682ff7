"""One StrEnum per trading concept; database choices are made from these, never the other way round."""

from enum import StrEnum


class InstrumentKind(StrEnum):
    """Only linear perpetuals and spot are traded; anything else is refused when it is loaded."""

    PERPETUAL = "PERPETUAL"
    SPOT = "SPOT"


class InstrumentStatus(StrEnum):
    """What the venue lets us do with an instrument now."""

    TRADING = "TRADING"
    REDUCE_ONLY = "REDUCE_ONLY"
    SUSPENDED = "SUSPENDED"


class OrderSide(StrEnum):
    """The direction of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, −1 for SELL."""
        return 1 if self is OrderSide.BUY else -1

    @property
    def opposite(self) -> "OrderSide":
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY


class PositionSide(StrEnum):
    """The direction of a position."""

    LONG = "LONG"
    SHORT = "SHORT"
    FLAT = "FLAT"

    @property
    def sign(self) -> int:
        """+1 for LONG, −1 for SHORT, 0 for FLAT."""
        if self is PositionSide.LONG:
            return 1
        return -1 if self is PositionSide.SHORT else 0


class OrderType(StrEnum):
    """How an order finds its price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"

    @property
    def is_conditional(self) -> bool:
        """True when the order rests until a trigger price is met."""
        return self in (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)


class TimeInForce(StrEnum):
    """GTC rests until filled or cancelled; IOC cancels what does not fill at once."""

    GTC = "GTC"
    IOC = "IOC"


class TriggerBasis(StrEnum):
    """The price series that fires a conditional order."""

    MARK = "MARK"
    LAST = "LAST"


class OrderPurpose(StrEnum):
    """Why an order exists. Protection (STOP, TARGET) belongs to a position, LADDER and TIME_STOP to the exits
    that a bot manages by itself, the rest to a decision."""

    ENTRY = "ENTRY"
    REDUCE = "REDUCE"
    CLOSE = "CLOSE"
    STOP = "STOP"
    TARGET = "TARGET"
    LADDER = "LADDER"
    TIME_STOP = "TIME_STOP"

    @property
    def is_protection(self) -> bool:
        return self in (OrderPurpose.STOP, OrderPurpose.TARGET)


class OrderStatus(StrEnum):
    """DENIED is said by us, REJECTED by the venue; UNKNOWN means it was sent and nobody answered."""

    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    TRIGGERED = "TRIGGERED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    NEVER_ARRIVED = "NEVER_ARRIVED"


class Liquidity(StrEnum):
    """Which side of the fee table a fill pays."""

    MAKER = "MAKER"
    TAKER = "TAKER"


class FillReason(StrEnum):
    """What made a fill happen; exits made by the venue keep their own reason."""

    ORDER = "ORDER"
    LIQUIDATION = "LIQUIDATION"
    ADL = "ADL"
    SETTLEMENT = "SETTLEMENT"
    EXTERNAL_CLOSE = "EXTERNAL_CLOSE"
    FOREIGN = "FOREIGN"
    END_OF_DATA = "END_OF_DATA"


class RejectCode(StrEnum):
    """Why a venue refuses an order."""

    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    NOT_TRADING = "NOT_TRADING"
    REDUCE_ONLY_MODE = "REDUCE_ONLY_MODE"
    QUANTITY_STEP = "QUANTITY_STEP"
    PRICE_STEP = "PRICE_STEP"
    MIN_QUANTITY = "MIN_QUANTITY"
    MAX_QUANTITY = "MAX_QUANTITY"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    PRICE_BAND = "PRICE_BAND"
    PRICE_REQUIRED = "PRICE_REQUIRED"
    TRIGGER_REQUIRED = "TRIGGER_REQUIRED"
    TRIGGER_WOULD_FIRE = "TRIGGER_WOULD_FIRE"
    TRIGGER_BASIS = "TRIGGER_BASIS"
    REDUCE_ONLY_INCREASES = "REDUCE_ONLY_INCREASES"
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"
    LEVERAGE = "LEVERAGE"
    FLIP = "FLIP"
    DUPLICATE_CLIENT_ID = "DUPLICATE_CLIENT_ID"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NO_PRICE = "NO_PRICE"
    NO_LIQUIDITY = "NO_LIQUIDITY"
    SHORT_SPOT = "SHORT_SPOT"
