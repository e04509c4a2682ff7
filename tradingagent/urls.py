"""Every URL of the site."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("account/", include("tradingagent.accounts.urls")),
    path("", include("bots.urls")),
    path("", include("bots.lab.urls")),
    path("", include("bots.alerts.urls")),
]
