"""Wiring: settings, URLs, the ASGI entry point. No trading logic lives here."""
