"""The form of a new arena. It reads what was typed; what makes sense the services decide."""

from decimal import Decimal
from typing import Any, Final

from django import forms

from bots.lab.baselines import BASELINES
from bots.lab.services import USUAL_CAPITAL, USUAL_SYMBOLS, ArenaWish, EntrantWish
from llm.models import ModelProfile
from market.venues.feeds import SIMULATED, venue_names
from risk.models import RiskProfile
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User

MOST_CAPITAL: Final = Decimal(1_000_000_000)
EVERY: Final = (
    (60, "1 minute"), (180, "3 minutes"), (300, "5 minutes"), (900, "15 minutes"), (3600, "1 hour"),
    (14_400, "4 hours"),
)  # fmt: skip


class ProfileField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A risk profile by its name."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name).capitalize()


class ArenaForm(forms.Form):
    """An arena's conditions, and who joins it. Candles are as long as the time between decisions."""

    name = forms.CharField(max_length=80, help_text="Such as the season, or what is compared.")
    venue = forms.ChoiceField(help_text="Real prices or the simulated market; never real money.")
    symbols = forms.CharField(
        label="Instruments",
        max_length=400,
        initial=", ".join(USUAL_SYMBOLS),
        help_text="As the venue lists them, separated by commas.",
    )
    capital = forms.DecimalField(
        label="Capital of each",
        min_value=Decimal(1),
        max_value=MOST_CAPITAL,
        decimal_places=8,
        initial=USUAL_CAPITAL,
        help_text="In the currency in which the instruments are settled.",
    )
    interval_seconds = forms.TypedChoiceField(
        label="A round every",
        coerce=int,
        choices=EVERY,
        initial=180,
        help_text="Decisions come when a candle of this length has closed.",
    )
    risk_profile = ProfileField(
        label="Limits",
        queryset=RiskProfile.objects.none(),
        empty_label=None,
        help_text="The same for everybody.",
    )
    models = forms.ModelMultipleChoiceField(
        queryset=ModelProfile.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    baselines = forms.MultipleChoiceField(
        choices=[(entry.trader, entry.label) for entry in BASELINES],
        initial=[entry.trader for entry in BASELINES],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, owner: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owner = owner
        profiles = visible(RiskProfile, owner).exclude(raw=True).order_by("name", "owner")
        fields: Any = self.fields
        fields["venue"].choices = [
            (name, "Simulated market" if name == SIMULATED else name) for name in venue_names()
        ]
        fields["risk_profile"].queryset = profiles
        fields["risk_profile"].initial = profiles.filter(owner=None, name="balanced").first()
        fields["models"].queryset = visible(ModelProfile, owner).order_by("name", "owner")
        fields["name"].widget.attrs["autofocus"] = True

    def clean(self) -> dict[str, Any]:
        """Somebody has to take part; who else can't is said by the services."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not given.get("models") and not given.get("baselines"):
            raise forms.ValidationError("Choose who takes part: models, baselines, or both.")
        return given

    def wish(self) -> ArenaWish:
        """The conditions that were asked for. After `is_valid`."""
        given = self.cleaned_data
        symbols = (one.strip() for one in given["symbols"].split(","))
        return ArenaWish(
            owner=self._owner,
            name=given["name"],
            venue=given["venue"],
            symbols=tuple(one for one in symbols if one),
            capital=given["capital"],
            interval_seconds=given["interval_seconds"],
            timeframe_seconds=given["interval_seconds"],
            risk_profile=given["risk_profile"],
        )

    def entrants(self) -> list[EntrantWish]:
        """Who joins: models first, then baselines, each in the order shown. After `is_valid`."""
        return [
            *(EntrantWish(model_profile=profile) for profile in self.cleaned_data["models"]),
            *(EntrantWish(trader=trader) for trader in self.cleaned_data["baselines"]),
        ]
