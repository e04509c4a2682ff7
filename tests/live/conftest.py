"""What every scene of sockets needs."""

import pytest

from tests.live.stage import Sample, show_samples


@pytest.fixture
def sample(monkeypatch, settings) -> Sample:
    """A topic `sample:<bot>`, alone in the registry."""
    return show_samples(monkeypatch, settings)
