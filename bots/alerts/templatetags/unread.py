"""The count of alerts in the shell around every page, as it is when the page is made; then it is live."""

from django import template
from django.template.context import Context

from bots.alerts.queries import unread_count

register = template.Library()


@register.simple_tag(takes_context=True)
def unread_alerts(context: Context) -> int:
    """How many alerts the user has not acknowledged. One query."""
    return unread_count(context["request"].user)
