"""The form of the exits that a bot manages by itself: shares in %, profits in R, a time in hours."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms

from bots.domain.exits import ExitRules, InvalidExits, ladder_from, ladder_text
from market.domain.numbers import plain

_HOUR: Final = Decimal(3600)
_FIELD_OF: Final = {
    "trailing_fraction": "trailing",
    "trailing_from_r": "trailing_from",
    "break_even_at_r": "break_even",
    "ladder": "ladder",
    "time_stop": "hours",
}


def _number(label: str, help_text: str) -> forms.DecimalField:
    attrs = {"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        required=False,
        max_digits=24,
        decimal_places=6,
        widget=forms.TextInput(attrs=attrs),
        error_messages={"invalid": "Give a number, such as 1.5."},
    )


class ExitsForm(forms.Form):
    """Every rule, empty where it is off. `rules` after `is_valid`."""

    trailing = _number("Distance", "Below the best mark price of a long, above that of a short.")
    trailing_from = _number("Starts at a profit of", "Empty: from the entry on.")
    break_even = _number("At a profit of", "The stop moves to where both fees are paid.")
    ladder = forms.CharField(
        label="Rungs",
        required=False,
        max_length=120,
        help_text="1:50%, 2:25% closes half of what was entered at 1 R, a quarter at 2 R.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    hours = _number("Held for at most", "Counted from the first fill; then the position is closed.")

    rules = ExitRules()

    def __init__(self, now: ExitRules, data: Any = None, *, is_open: bool = True) -> None:
        """`is_open` False: shown, and not to be typed in."""
        super().__init__(data, initial=_typed(now))
        for field in self.fields.values():
            field.widget.attrs |= {} if is_open else {"disabled": True}

    def clean_ladder(self) -> Any:
        try:
            return ladder_from(self.cleaned_data["ladder"])
        except InvalidExits as error:
            raise forms.ValidationError(_sentence(error)) from None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return data
        hours = data["hours"]
        try:
            self.rules = ExitRules(
                trailing_fraction=None if data["trailing"] is None else data["trailing"] / 100,
                trailing_from_r=data["trailing_from"],
                break_even_at_r=data["break_even"],
                ladder=data["ladder"],
                time_stop=None if hours is None else _span(hours),
            )
        except InvalidExits as error:
            self.refuse(error)
        return data

    def refuse(self, refusal: Exception) -> None:
        """Put a sentence beside the field that it is about."""
        about = getattr(refusal, "about", "")
        self.add_error(_FIELD_OF.get(about), _sentence(refusal))


def _typed(rules: ExitRules) -> dict[str, str]:
    """The rules as they stand in their fields."""
    trail, hold = rules.trailing_fraction, rules.time_stop
    return {
        "trailing": "" if trail is None else plain(trail * 100),
        "trailing_from": _text(rules.trailing_from_r),
        "break_even": _text(rules.break_even_at_r),
        "ladder": ladder_text(rules.ladder),
        "hours": "" if hold is None else plain(Decimal(int(hold.total_seconds())) / _HOUR),
    }


def _text(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _span(hours: Decimal) -> timedelta:
    """To the second. Raises InvalidExits for a length that no time stop has."""
    if not 0 < hours <= 100_000:
        raise InvalidExits("a time stop is from one minute to 365 days", "time_stop")
    return timedelta(seconds=int((hours * _HOUR).to_integral_value()))


def _sentence(refusal: Exception) -> str:
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}."
