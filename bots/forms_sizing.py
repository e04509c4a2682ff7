"""The form of one entry that nobody makes: what a profile would let through of it."""

from decimal import Decimal
from typing import Any, Final

from django import forms

from bots import runtime
from market.domain.enums import PositionSide
from risk.sizing import EntryWish

SIMULATED: Final = "simulated"
_SURE: Final = Decimal(1)
_SMALLEST: Final = Decimal("0.000000001")


def _amount(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, min_value=_SMALLEST, max_digits=20, widget=_text(), **options
    )


def _text() -> forms.TextInput:
    return forms.TextInput(
        attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
    )


class SizingForm(forms.Form):
    """An entry at the price of now, its size by what is lost at the stop."""

    venue = forms.ChoiceField(label="Market")
    symbol = forms.CharField(label="Instrument", max_length=60, initial="BTC/USDT:USDT")
    side = forms.ChoiceField(
        choices=[(PositionSide.LONG, "Long"), (PositionSide.SHORT, "Short")],
        initial=PositionSide.LONG,
    )
    capital = _amount("Equity", initial="10000", help_text="Nothing is held.")
    stop = _amount("Stop", help_text="A price.")
    target = _amount("Target", required=False, help_text="A price; some profiles want one.")
    risk = _amount("Risk", initial="1", max_value=100, help_text="Of equity, lost at the stop.")
    leverage = _amount("Leverage", initial="5", max_value=1000)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        venue: Any = self.fields["venue"]
        venue.choices = [
            (name, "Simulated market" if name == SIMULATED else name) for name in runtime.venues()
        ]

    def wish(self) -> EntryWish:
        """The entry as typed, sure of itself: confidence is a model's. After `is_valid`."""
        data = self.cleaned_data
        return EntryWish(
            symbol=data["symbol"],
            side=PositionSide(data["side"]),
            risk_fraction=data["risk"] / 100,
            leverage=data["leverage"],
            stop_price=data["stop"],
            target_price=data["target"],
            confidence=_SURE,
        )
