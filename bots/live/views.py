"""The live parts of a page by plain request, for a page whose socket is down.

The same bytes as on the socket. What is not the asker's is not there.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots.live.topics import rendered, topic_of
from tradingagent.accounts.access import NotYours


@require_safe
@never_cache
def live_parts(request: HttpRequest, kind: str, key: str = "") -> HttpResponse:
    """All parts of a topic, one after the other, each with its id. 404 for what is not the user's."""
    if not request.user.is_authenticated:
        raise Http404
    try:
        topic = topic_of(kind)
        parts = rendered(topic, topic.find(request.user, key))
    except NotYours as error:
        raise Http404 from error
    return HttpResponse("\n".join(parts.values()))
