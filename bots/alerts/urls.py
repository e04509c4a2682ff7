"""The page of alerts and what a person may ask on it."""

from django.urls import path

from bots.alerts import views

urlpatterns = [
    path("alerts/", views.alerts, name="alerts"),
    path("alerts/acknowledge/", views.acknowledge, name="acknowledge_alerts"),
    path("alerts/channels/new/", views.new_channel, name="new_channel"),
    path("alerts/channels/<int:key>/test/", views.test_channel, name="test_channel"),
    path("alerts/channels/<int:key>/switch/", views.switch_channel, name="switch_channel"),
    path("alerts/channels/<int:key>/delete/", views.delete_channel, name="delete_channel"),
    path("alerts/rules/new/", views.new_rule, name="new_alert_rule"),
    path("alerts/rules/usual/", views.usual_rules, name="usual_alert_rules"),
    path("alerts/rules/<int:key>/", views.change_rule, name="change_alert_rule"),
    path("alerts/rules/<int:key>/delete/", views.delete_rule, name="delete_alert_rule"),
]
