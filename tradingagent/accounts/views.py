"""A user's own settings: time zone and theme. Everything else about accounts is allauth's."""

from typing import cast

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


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    """The page of settings; POST changes the time zone."""
    user = cast(User, request.user)
    form = TimeZoneForm(request.POST or None, initial={"time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        change_time_zone(user, form.cleaned_data["time_zone"], by=user)
        messages.success(request, f"Times are shown in {user.time_zone} now.")
        return redirect("account_settings")
    context = {"form": form, "zones": sorted(time_zones()), "themes": CHOICES}
    status = 422 if form.errors else 200
    return render(request, "account/settings.html", context, status=status)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep a theme in the browser, and go back to where it was chosen. Needs no sign-in."""
    form = ThemeForm(request.POST)
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        target = "/"
    response = redirect(target)
    if form.is_valid():
        keep_theme(response, form.cleaned_data["theme"])
    return response
