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
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bots.alerts import queries, services
from bots.alerts.forms import ChannelForm, RuleForm
from bots.views.finding import signed_in
from tradingagent.accounts.access import NotYours

UNPROCESSABLE = 422
LOGGED = 20


@require_safe
@login_required
@never_cache
def alerts(request: HttpRequest) -> HttpResponse:
    """The inbox and all that fills it."""
    return _page(request)


@require_safe
@login_required
@never_cache
def unread(request: HttpRequest) -> HttpResponse:
    """How many alerts were not acknowledged, for the menu; empty for none."""
    return render(request, "alerts.html#unread", {"unread": queries.unread_count(request.user)})


@require_POST
@login_required
def acknowledge(request: HttpRequest) -> HttpResponse:
    """Note that these were seen: the one that `alert` names, else all."""
    named = request.POST.get("alert", "")
    wanted = [int(named)] if named.isascii() and named.isdigit() and len(named) < 19 else None
    if named and wanted is None:
        raise Http404
    services.acknowledge(signed_in(request), wanted)
    return redirect("alerts")


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
    user = signed_in(request)
    try:
        inbox = queries.inbox(user, after=request.GET.get("after", ""))
    except ValueError as error:
        raise Http404 from error
    context = {
        "inbox": inbox,
        "unread": queries.unread_count(user),
        "rules": queries.rules_of(user),
        "channels": queries.channels_of(user),
        "log": queries.delivery_log(user, limit=LOGGED).items,
        "channel_form": ChannelForm(),
        "rule_form": RuleForm(user),
        **forms,
    }
    return render(request, "alerts.html", context, status=status)


def _formed(request: HttpRequest, form: Any, act: Callable[[], str], **forms: Any) -> HttpResponse:
    if form.is_valid():
        try:
            messages.success(request, act())
            return redirect("alerts")
        except services.AlertRefused as refusal:
            text = str(refusal)
            form.add_error(None, f"{text[:1].upper()}{text[1:]}.")
    return _page(request, UNPROCESSABLE, **forms)


def _own(find: Callable[[Any, int], Any], request: HttpRequest, key: int) -> Any:
    try:
        return find(request.user, key)
    except NotYours as error:
        raise Http404 from error
