"""The form of one entry that nobody makes: whose it would be, and where its stop and target lie."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from bots import models, runtime
from bots.domain.bot import BotStatus
from bots.forms import SIMULATED, TIMEFRAMES
from bots.services import EntryAsked, ExitAt, ExitBy, Holder, Sight
from market.domain.enums import PositionSide
from tradingagent.accounts.models import User

NO_TARGET: Final = "NONE"
_SMALLEST: Final = Decimal("0.000000001")
_UNITS: Final = {
    ExitBy.PRICE: "Price",
    ExitBy.FRACTION: "% from the entry",
    ExitBy.ATR: "× ATR from the entry",
    ExitBy.RATIO: "× what is risked",
}


def _amount(label: str, **options: Any) -> forms.DecimalField:
    most = options.get("max_value")
    attrs = {"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
    said = {
        "invalid": "Give a number, such as 2.5.",
        "required": "Give a number, such as 2.5.",
        "min_value": "Give a number above 0.",
        "max_value": f"At most {most}.",
    }
    said |= dict.fromkeys(
        ("max_digits", "max_decimal_places", "max_whole_digits"), "At most 20 digits."
    )
    return forms.DecimalField(
        label=label,
        min_value=_SMALLEST,
        max_digits=20,
        widget=forms.TextInput(attrs=attrs),
        error_messages=said,
        **options,
    )


def _choices(*ways: ExitBy) -> list[tuple[str, str]]:
    return [(way, _UNITS[way]) for way in ways]


class SizingForm(forms.Form):
    """An entry at the price of now, its size by what is lost at the stop."""

    account = forms.ChoiceField(
        label="Account", error_messages={"invalid_choice": "Choose one of these."}
    )
    symbol = forms.CharField(
        label="Instrument",
        max_length=60,
        initial="BTC/USDT:USDT",
        error_messages={"required": "Name an instrument, such as BTC/USDT:USDT."},
    )
    side = forms.ChoiceField(
        choices=[(PositionSide.LONG, "Long"), (PositionSide.SHORT, "Short")],
        initial=PositionSide.LONG,
        error_messages={"invalid_choice": "Long or short."},
    )
    capital = _amount("Equity", required=False, initial="10000", help_text="A bot has its own.")
    stop_by = forms.ChoiceField(
        label="Stop by",
        choices=_choices(ExitBy.PRICE, ExitBy.FRACTION, ExitBy.ATR),
        initial=ExitBy.FRACTION,
        error_messages={"invalid_choice": "Choose one of these."},
    )
    stop = _amount("Stop", initial="2")
    target_by = forms.ChoiceField(
        label="Target by",
        choices=[
            (NO_TARGET, "No target"),
            *_choices(ExitBy.PRICE, ExitBy.FRACTION, ExitBy.ATR, ExitBy.RATIO),
        ],
        initial=ExitBy.RATIO,
        error_messages={"invalid_choice": "Choose one of these."},
    )
    target = _amount("Target", required=False, initial="3")
    timeframe = forms.TypedChoiceField(
        label="ATR on candles of",
        coerce=int,
        choices=TIMEFRAMES,
        initial=60 * 60,
        help_text="14 of them, closed; where a stop or target is in ATR.",
        error_messages={"invalid_choice": "Choose one of these."},
    )
    risk = _amount("Risk", initial="1", max_value=100, help_text="Of equity, lost at the stop.")
    leverage = _amount("Leverage", initial="5", max_value=1000)

    def __init__(self, user: User, data: Any = None, **options: Any) -> None:
        super().__init__(data, **options)
        bots = models.Bot.objects.filter(owner=user).exclude(status=BotStatus.ARCHIVED)
        self._user, self._bots = user, {str(bot.pk): bot for bot in bots.order_by("name")}
        account: Any = self.fields["account"]
        account.choices = [("An account that holds nothing", list(_empty_accounts()))]
        if self._bots:
            named = [(pk, bot.name) for pk, bot in self._bots.items()]
            account.choices = [*account.choices, ("Your bots, as they stand", named)]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("account") in runtime.venues() and not data.get("capital"):
            self._refuse("capital", "Give the equity of an account that holds nothing.")
        if data.get("target_by") not in (None, NO_TARGET) and not data.get("target"):
            self._refuse("target", "Give a number, or choose no target.")
        for name in ("stop", "target"):
            is_share = data.get(f"{name}_by") == ExitBy.FRACTION
            lies_below = (name == "stop") == (data.get("side") == PositionSide.LONG)
            if is_share and lies_below and (data.get(name) or 0) >= 100:
                self._refuse(name, "Less than 100%: a price stays above 0.")
        return data

    def _refuse(self, name: str, sentence: str) -> None:
        if name not in self.errors:
            self.add_error(name, ValidationError(sentence))

    def holder(self) -> Holder:
        """Whose entry it would be. After `is_valid`."""
        data = self.cleaned_data
        bot = self._bots.get(data["account"])
        venue = data["account"] if bot is None else bot.venue
        return Holder(
            user=self._user,
            sight=Sight(venue=venue, timeframe=timedelta(seconds=data["timeframe"])),
            capital=data["capital"] or Decimal(0),
            bot=bot,
        )

    def asked(self) -> EntryAsked:
        """The entry as typed. After `is_valid`."""
        data = self.cleaned_data
        return EntryAsked(
            symbol=data["symbol"],
            side=PositionSide(data["side"]),
            risk_fraction=data["risk"] / 100,
            leverage=data["leverage"],
            stop=_exit(data["stop_by"], data["stop"]),
            target=None
            if data["target_by"] == NO_TARGET
            else _exit(data["target_by"], data["target"]),
        )

    @property
    def said(self) -> Iterator[tuple[str, str]]:
        """What is wrong: the label of each field, and a sentence."""
        return (
            (str(bound.label), " ".join(str(one) for one in bound.errors))
            for bound in self
            if bound.errors
        )


def _empty_accounts() -> Iterator[tuple[str, str]]:
    for name in runtime.venues():
        market = "simulated market" if name == SIMULATED else name
        yield name, f"Empty, {market}"


def _exit(by: str, value: Decimal) -> ExitAt:
    way = ExitBy(by)
    return ExitAt(by=way, value=value / 100 if way is ExitBy.FRACTION else value)
