"""URLs under /account/: our settings, then allauth's sign-in, sign-up, sign-out and passwords."""

from django.urls import include, path

from tradingagent.accounts import views

urlpatterns = [
    path("settings/", views.settings, name="account_settings"),
    path("theme/", views.theme, name="account_theme"),
    path("", include("allauth.account.urls")),
]
