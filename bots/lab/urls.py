"""The addresses of arenas. Names have no namespace: there is one site."""

from django.urls import path

from bots.lab import views

urlpatterns = [
    path("arena/", views.arenas, name="arenas"),
    path("arena/new/", views.new_arena, name="new_arena"),
    path("arena/<uuid:arena_id>/", views.arena, name="arena"),
    path("arena/<uuid:arena_id>/equity.json", views.arena_equity, name="arena_equity"),
    path("arena/<uuid:arena_id>/equity/", views.arena_numbers, name="arena_numbers"),
    path("arena/<uuid:arena_id>/start/", views.start_arena, name="start_arena"),
    path("arena/<uuid:arena_id>/stop/", views.stop_arena, name="stop_arena"),
]
