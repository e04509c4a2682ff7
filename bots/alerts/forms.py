"""The forms of a channel and a rule. They read what was typed; what makes sense the services decide.

The address of a channel is written and never shown again, not even to who typed it wrong.
"""

from typing import Any, Final

from django import forms

from bots import models as desk
from bots.alerts.domain import KINDS, AlertKind, Direction, Severity
from bots.alerts.models import AlertChannel, AlertRule, ChannelKind
from bots.alerts.services import RuleWish
from bots.domain.bot import BotStatus
from market.domain.numbers import plain
from tradingagent.accounts.access import visible
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret

COOLDOWNS: Final = (
    (60, "1 minute"), (300, "5 minutes"), (900, "15 minutes"), (3600, "1 hour"), (14_400, "4 hours"),
    (86_400, "1 day"),
)  # fmt: skip


def _kind_label(kind: AlertKind) -> str:
    row = KINDS[kind]
    name = f"{row.name[:1].upper()}{row.name[1:]}"
    return f"{name} ({row.unit})" if row.unit else name


class ChannelForm(forms.Form):
    """Where messages may go."""

    name = forms.CharField(max_length=60)
    kind = forms.ChoiceField(choices=ChannelKind.choices, initial=ChannelKind.APPRISE)
    address = forms.CharField(
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Such as tgram://token/chat, discord://id/token, ntfys://topic or jsons://host/path;"
        " for e-mail, your own address. It is encrypted, and not shown again.",
    )
    to_all_rules = forms.BooleanField(
        label="All of my rules send there", required=False, initial=True
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id="channel-%s")

    def wish(self) -> dict[str, Any]:
        """What was typed, as `services.create_channel` takes it. Only of a valid form."""
        said = self.cleaned_data
        return {
            "name": said["name"],
            "kind": ChannelKind(said["kind"]),
            "address": Secret(said["address"]),
            "to_all_rules": said["to_all_rules"],
        }


class RuleForm(forms.Form):
    """What to tell."""

    kind = forms.ChoiceField(
        label="When", choices=[(kind.value, _kind_label(kind)) for kind in AlertKind]
    )
    bot = forms.ModelChoiceField(
        queryset=desk.Bot.objects.none(), required=False, empty_label="All of my bots"
    )
    threshold = forms.DecimalField(
        label="Level", required=False, max_digits=24, decimal_places=8,
        help_text="Where what is told has one.",
    )  # fmt: skip
    direction = forms.ChoiceField(
        label="Told",
        choices=[(Direction.ABOVE.value, "at or above"), (Direction.BELOW.value, "at or below")],
        help_text="Of a price, and of profit or loss.",
    )
    symbol = forms.ChoiceField(
        label="Instrument",
        required=False,
        help_text="Of a price.",
        error_messages={"invalid_choice": "None of your bots trades %(value)s."},
    )
    severity = forms.ChoiceField(
        required=False,
        choices=[("", "As usual"), *((one.value, one.value.capitalize()) for one in Severity)],
        help_text="Critical is told in quiet hours, too.",
    )
    quiet_from = forms.TimeField(
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}),
        help_text="In your time zone.",
    )
    quiet_to = forms.TimeField(required=False, widget=forms.TimeInput(attrs={"type": "time"}))
    cooldown_seconds = forms.TypedChoiceField(
        label="Between two messages", coerce=int, choices=COOLDOWNS, initial=900
    )
    channels = forms.ModelMultipleChoiceField(
        queryset=AlertChannel.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(
        self, owner: User, data: Any = None, *, rule: AlertRule | None = None, initial: Any = None
    ) -> None:
        super().__init__(data, auto_id="rule-%s", initial=initial)
        self._owner = owner
        fields: Any = self.fields
        mine = visible(desk.Bot, owner)
        bots = mine.exclude(status=BotStatus.ARCHIVED)
        if rule is not None and rule.bot_id is not None:
            # Archived or not: without it the rule would be about all of them.
            bots = bots | mine.filter(pk=rule.bot_id)
        bots = bots.order_by("name")
        fields["bot"].queryset = bots
        traded = {
            symbol for symbols in bots.values_list("symbols", flat=True) for symbol in symbols
        }
        fields["symbol"].choices = [("", "–"), *((one, one) for one in sorted(traded))]
        fields["channels"].queryset = visible(AlertChannel, owner).defer("address").order_by("name")

    def wish(self) -> RuleWish:
        """What was typed, without what its kind has no use for: pages hide that. Only of a valid form."""
        said = self.cleaned_data
        kind = AlertKind(said["kind"])
        return RuleWish(
            owner=self._owner,
            kind=kind,
            bot=said["bot"],
            symbol=said["symbol"] if kind is AlertKind.PRICE else "",
            threshold=said["threshold"] if KINDS[kind].unit else None,
            direction=Direction(said["direction"]),
            severity=Severity(said["severity"]) if said["severity"] else None,
            quiet_from=said["quiet_from"],
            quiet_to=said["quiet_to"],
            cooldown_seconds=said["cooldown_seconds"],
            channels=tuple(said["channels"]),
            is_enabled=said.get("is_enabled", True),
        )


class ChangeRuleForm(RuleForm):
    """What a rule tells from now on, as it is now where nothing was typed."""

    is_enabled = forms.BooleanField(label="It is on", required=False)

    def __init__(self, rule: AlertRule, data: Any = None) -> None:
        initial = {name: getattr(rule, name) for name in _OF_A_RULE}
        initial |= {"channels": [one.pk for one in rule.channels.all()]}
        if rule.threshold is not None:
            initial["threshold"] = plain(rule.threshold)
        super().__init__(rule.owner, data, rule=rule, initial=initial)
        cooldown: Any = self.fields["cooldown_seconds"]
        if rule.cooldown_seconds not in dict(COOLDOWNS):
            seconds = rule.cooldown_seconds
            cooldown.choices = sorted([*COOLDOWNS, (seconds, f"{seconds} seconds")])


_OF_A_RULE: Final = (
    "kind", "bot", "direction", "symbol", "severity", "quiet_from", "quiet_to", "cooldown_seconds",
    "is_enabled",
)  # fmt: skip
