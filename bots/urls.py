"""Every page of the desk, and what a person may ask on it. Names have no namespace: there is one site."""

from django.urls import path

from bots.live.views import live_parts
from bots.views.charts import bot_candles, bot_equity

urlpatterns = [
    path("bots/<uuid:bot_id>/equity.json", bot_equity, name="bot_equity"),
    path("bots/<uuid:bot_id>/candles.json", bot_candles, name="bot_candles"),
    path("live/<slug:kind>/", live_parts, name="live_parts"),
    path("live/<slug:kind>/<str:key>/", live_parts, name="live_parts"),
]
