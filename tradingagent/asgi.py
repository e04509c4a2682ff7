"""The entry point of an ASGI server: pages, and the sockets that keep them moving.

A socket must come from a page of this site: browsers send cookies with a socket whoever opened it.
"""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingagent.settings")

pages = get_asgi_application()

from bots.routing import websocket_urlpatterns  # noqa: E402 (needs the apps)

application = ProtocolTypeRouter(
    {
        "http": pages,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
