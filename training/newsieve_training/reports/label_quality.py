"""Shows the audit as a report for people: what the labels are worth."""

from __future__ import annotations

from newsieve_training.data.audit_report import (
    EXPLAINED,
    AuditReport,
    Disagreement,
    SelfDisagreement,
)
from newsieve_training.reports.templating import render


def label_quality(audit: AuditReport, filter_reference: str) -> str:
    """Return the report on the labels of this filter in Markdown."""
    pairs: dict[str, SelfDisagreement | Disagreement] = {
        **{name or "unnamed": item for name, item in audit.self_disagreement.items()},
        "different oracles": audit.disagreement_of_oracles,
    }
    return render(
        "label_quality",
        filter=filter_reference,
        audit=audit,
        explained=f"{EXPLAINED:.0%}",
        pairs=pairs,
        differences={name: item.dimensions for name, item in pairs.items() if item.dimensions},
    )
