"""The port of metrics and health."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from worker.errors import SettingsInvalid
from worker.observe.http import ObserveServer


def test_health_follows_its_checks_and_other_pages_are_not_there() -> None:
    """503 while not ready; no page but the three."""
    server = ObserveServer("127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: False)
    base = f"http://127.0.0.1:{server.port}"

    assert urllib.request.urlopen(f"{base}/livez").status == 200
    for page, status in (("readyz", 503), ("secrets", 404)):
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(f"{base}/{page}")
        assert failed.value.code == status
        failed.value.close()
    server.close()


def test_a_taken_port_is_a_settings_error() -> None:
    """It says which setting."""
    first = ObserveServer("127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: True)

    with pytest.raises(SettingsInvalid, match="NEWSIEVE_OBSERVE__PORT"):
        ObserveServer("127.0.0.1", first.port, CollectorRegistry(), lambda: True, lambda: True)
    first.close()
