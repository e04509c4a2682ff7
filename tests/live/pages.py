"""The address of a page with live parts, beside those of the site. Its sockets have a beat each second."""

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.urls import path

from bots import consumers
from bots.live.topics import page_context, register, topic_of
from tests.live.stage import Sample
from tradingagent.urls import urlpatterns as site

register(Sample().topic)
consumers.BEAT_SECONDS = 1.0


@login_required
def sample_page(request, key):
    bot = topic_of("sample").find(request.user, key)
    return render(request, "sample_page.html", {"key": key, **page_context("sample", bot)})


urlpatterns = [path("sample/<str:key>/", sample_page), *site]
