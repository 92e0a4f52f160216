"""What drift monitors and canaries reported, as their records. It knows no page."""

from __future__ import annotations

from newsieve.store.reader import StoreReader


def newest_alerts(reader: StoreReader, limit: int = 200) -> list[bytes]:
    """Return the records of the newest DriftAlerts, the newest first."""
    rows = reader.rows("SELECT record FROM alerts ORDER BY id DESC LIMIT ?", [limit])
    return [row[0] for row in rows]


def alerts_of_incident(reader: StoreReader, incident_id: str) -> list[bytes]:
    """Return the records of an incident's DriftAlerts, oldest first."""
    sql = "SELECT record FROM alerts WHERE incident_id = ? ORDER BY id LIMIT 1000"
    return [row[0] for row in reader.rows(sql, [incident_id])]


def canary_reports(reader: StoreReader) -> list[bytes]:
    """Return the latest CanaryReport of each filter's students."""
    return [row[0] for row in reader.rows("SELECT record FROM canaries ORDER BY filter")]
