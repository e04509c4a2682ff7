"""The sockets' URLs. Whatever else is asked for is not there."""

from django.urls import URLPattern, URLResolver, path, re_path

from bots.consumers import LiveConsumer, Refusal

websocket_urlpatterns: list[URLPattern | URLResolver] = [
    path("ws/live/", LiveConsumer.as_asgi()),
    re_path("", Refusal.as_asgi()),
]
