"""What users may change about themselves."""

from django import forms

from tradingagent.accounts.models import validate_time_zone
from tradingagent.accounts.themes import CHOICES


class TimeZoneForm(forms.Form):
    """The zone in which pages show times and the day of the daily loss limit begins."""

    time_zone = forms.CharField(
        max_length=64,
        validators=[validate_time_zone],
        error_messages={"required": "Choose a time zone, such as Europe/Berlin or UTC."},
    )


class ThemeForm(forms.Form):
    """Dark, light, or as the reader's system (empty)."""

    theme = forms.ChoiceField(choices=tuple(CHOICES.items()), required=False)
