"""Every page of the desk, and what a person may ask on it. Names have no namespace: there is one site."""

from django.urls import path

from bots.live.views import live_parts

urlpatterns = [
    path("live/<slug:kind>/", live_parts, name="live_parts"),
    path("live/<slug:kind>/<str:key>/", live_parts, name="live_parts"),
]
