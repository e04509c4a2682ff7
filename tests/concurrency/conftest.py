"""Leases of one second for every test here."""

import pytest


@pytest.fixture(autouse=True)
def short_leases(settings) -> None:
    settings.DESK_LEASE_SECONDS = settings.CYCLE_LEASE_SECONDS = 1
