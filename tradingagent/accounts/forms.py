"""What users say about themselves: when they sign up, and in their settings."""

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from tradingagent.accounts.models import User, validate_time_zone
from tradingagent.accounts.services import note_sign_up
from tradingagent.accounts.themes import CHOICES


class SignUpForm(forms.Form):
    """What a sign-up takes beside e-mail and password; allauth's form is built upon this one.

    The page's script fills in the browser's time zone. Without script, or from a browser that knows a zone
    which we don't, it is UTC: nobody is kept out for it.
    """

    time_zone = forms.CharField(
        required=False, widget=forms.HiddenInput(attrs={"data-browser-zone": True})
    )

    def clean_time_zone(self) -> str:
        name = str(self.cleaned_data["time_zone"])
        try:
            validate_time_zone(name)
        except ValidationError:
            return "UTC"
        return name

    def signup(self, _request: HttpRequest, user: User) -> None:
        note_sign_up(user, self.cleaned_data["time_zone"])


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
