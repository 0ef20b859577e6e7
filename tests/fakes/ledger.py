"""A fake ledger: keeps the records that it is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from steersman.router.accounting import Record


@dataclass
class FakeLedger:
    """Implements `steersman.router.accounting.Ledger`."""

    records: list[Record] = field(default_factory=list)

    def closed(self, record: Record) -> None:
        """See `steersman.router.accounting.Ledger.closed`."""
        self.records.append(record)

    @property
    def outcomes(self) -> list[str]:
        """How the requests ended, in the order in which they did."""
        return [record.outcome for record in self.records]
