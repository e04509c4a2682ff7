"""The page of alerts: the inbox, the rules, the channels, and the log of what was sent.

Thin doors: a refusal is a sentence, rows of another user are not there. Whoever changes something is sent back
to the page, so that a reload repeats nothing.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots.alerts import pages, queries, services
from bots.alerts.forms import ChangeRuleForm, ChannelForm, RuleForm
from bots.views.finding import signed_in
from tradingagent.accounts.access import NotYours
from tradingagent.accounts.models import User

UNPROCESSABLE = 422
LOGGED = 20


@require_safe
@login_required
@never_cache
def alerts(request: HttpRequest) -> HttpResponse:
    """The inbox and all that fills it."""
    return _page(request)


@require_POST
@login_required
def acknowledge(request: HttpRequest) -> HttpResponse:
    """Note that these were seen: the one that `alert` names, else all `up_to` one. Back to the page of the
    inbox that `after` names."""
    one, last = _number_in(request, "alert"), _number_in(request, "up_to")
    after = request.POST.get("after", "")
    services.acknowledge(signed_in(request), None if one is None else [one], up_to=last)
    return redirect(f"{reverse('alerts')}?{urlencode({'after': after})}" if after else "alerts")


@require_POST
@login_required
def new_channel(request: HttpRequest) -> HttpResponse:
    """Store where messages may go."""
    user, form = signed_in(request), ChannelForm(request.POST)

    def act() -> str:
        made = services.create_channel(owner=user, by=user, **form.wish())
        return f"{made.name} is stored. Try it before you rely on it."

    return _formed(request, form, act, channel_form=form)


@require_POST
@login_required
def new_rule(request: HttpRequest) -> HttpResponse:
    """Make a rule."""
    user = signed_in(request)
    form = RuleForm(user, request.POST)

    def act() -> str:
        services.save_rule(form.wish(), by=user)
        return "The rule is made."

    return _formed(request, form, act, rule_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def change_rule(request: HttpRequest, key: int) -> HttpResponse:
    """What one rule says; a POST makes it say what was typed."""
    rule, user = _own(queries.rule_of, request, key), signed_in(request)
    form = ChangeRuleForm(rule, request.POST if request.method == "POST" else None)

    def act() -> str:
        services.save_rule(form.wish(), by=user, rule=rule)
        return "The rule is changed."

    if form.is_bound and (done := _done(request, form, act)):
        return done
    context = {"form": form, "rule": rule, "has_channels": bool(queries.channels_of(user))}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "change_alert_rule.html", context, status=status)


@require_POST
@login_required
def usual_rules(request: HttpRequest) -> HttpResponse:
    """Make the usual rules for who has none."""
    user = signed_in(request)
    count = services.default_rules(user, by=user)
    messages.success(request, f"{count} rules are made." if count else "You have rules already.")
    return redirect("alerts")


@require_POST
@login_required
def delete_rule(request: HttpRequest, key: int) -> HttpResponse:
    """Take a rule away."""
    services.delete_rule(_own(queries.rule_of, request, key), by=signed_in(request))
    messages.success(request, "The rule is gone.")
    return redirect("alerts")


@require_POST
@login_required
def test_channel(request: HttpRequest, key: int) -> HttpResponse:
    """Send a message there now."""
    channel = _own(queries.channel_of, request, key)
    messages.info(request, services.test_channel(channel, by=signed_in(request)))
    return redirect("alerts")


@require_POST
@login_required
def switch_channel(request: HttpRequest, key: int) -> HttpResponse:
    """Switch a channel on or off."""
    channel = _own(queries.channel_of, request, key)
    services.change_channel(channel, by=signed_in(request), is_enabled=not channel.is_enabled)
    return redirect("alerts")


@require_POST
@login_required
def delete_channel(request: HttpRequest, key: int) -> HttpResponse:
    """Take a channel away."""
    services.delete_channel(_own(queries.channel_of, request, key), by=signed_in(request))
    messages.success(request, "The channel is gone.")
    return redirect("alerts")


def _page(request: HttpRequest, status: int = 200, **forms: Any) -> HttpResponse:
    user, after = signed_in(request), request.GET.get("after", "")
    context = {
        **_inbox(user, after),
        "live_topic": "" if after else pages.INBOX,  # an earlier page stands still
        "rules": queries.rules_of(user),
        "channels": queries.channels_of(user),
        "log": queries.delivery_log(user, limit=LOGGED).items,
        "channel_form": ChannelForm(),
        "rule_form": RuleForm(user),
        **forms,
    }
    return render(request, "alerts.html", context, status=status)


def _inbox(user: User, after: str) -> dict[str, Any]:
    try:
        return pages.inbox_of(user, after)
    except ValueError as error:
        raise Http404 from error


def _number_in(request: HttpRequest, name: str) -> int | None:
    """The key that a form names; None where it names none."""
    text = request.POST.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text) if text else None


def _formed(request: HttpRequest, form: Any, act: Callable[[], str], **forms: Any) -> HttpResponse:
    return _done(request, form, act) or _page(request, UNPROCESSABLE, **forms)


def _done(request: HttpRequest, form: Any, act: Callable[[], str]) -> HttpResponse | None:
    """Where to go once what was typed is done; None where it can't be, and the form says why."""
    if not form.is_valid():
        return None
    try:
        messages.success(request, act())
    except services.AlertRefused as refusal:
        text = str(refusal)
        about = refusal.about if refusal.about in form.fields else None
        form.add_error(about, f"{text[:1].upper()}{text[1:]}.")
        return None
    return redirect("alerts")


def _own(find: Callable[[Any, int], Any], request: HttpRequest, key: int) -> Any:
    try:
        return find(request.user, key)
    except NotYours as error:
        raise Http404 from error
