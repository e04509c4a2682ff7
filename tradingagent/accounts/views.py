"""A user's own settings: time zone and theme. Everything else about accounts is allauth's."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from tradingagent.accounts.forms import ThemeForm, TimeZoneForm
from tradingagent.accounts.models import User, time_zones
from tradingagent.accounts.services import change_time_zone
from tradingagent.accounts.themes import CHOICES, keep_theme

REGIONS: Final = (
    *("Africa", "America", "Antarctica", "Arctic", "Asia"),
    *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)
"""Zones are named Region/City; the others are older names of the same, and offsets."""


@login_required
@require_http_methods(["GET", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the settings; POST changes the time zone."""
    user = cast(User, request.user)
    form = TimeZoneForm(request.POST or None, initial={"time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        change_time_zone(user, form.cleaned_data["time_zone"], by=user)
        messages.success(request, f"Times are shown in {user.time_zone} from now on.")
        return redirect("account_settings")
    context = {"form": form, "zones": _zones(user.time_zone), "themes": CHOICES}
    return render(request, "account/settings.html", context, status=422 if form.errors else 200)


@require_POST
def keep_chosen_theme(request: HttpRequest) -> HttpResponse:
    """Keep a theme in the browser, and go back to where it was chosen. Needs no sign-in."""
    form = ThemeForm(request.POST)
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        target = "/"
    response = redirect(target)
    if form.is_valid():
        keep_theme(response, form.cleaned_data["theme"])
    return response


def _zones(current: str) -> Sequence[tuple[str, Sequence[str]]]:
    """(region, zones) to choose from; UTC first, and the current one whatever its name."""
    found = defaultdict(list)
    for name in sorted(time_zones()):
        region, _, city = name.partition("/")
        if city and region in REGIONS:
            found[region].append(name)
    listed = {"UTC"}.union(*found.values())
    first = ["UTC"] if current in listed else [current, "UTC"]
    return [("Everywhere", first), *((region, found[region]) for region in REGIONS)]
