"""The desk's URLs."""

from django.urls import path

from bots.live.views import live_parts

urlpatterns = [
    path("live/<slug:kind>/", live_parts, name="live_parts"),
    path("live/<slug:kind>/<str:key>/", live_parts, name="live_parts"),
]
