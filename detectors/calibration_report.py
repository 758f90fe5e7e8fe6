"""What a calibration can vouch for, as data and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scipy import stats

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model's calibration.

    Attributes:
        rows, clients: size of the clean traffic. client_days: clients times days observed.
        clients_per_day: the configured budget, falsely found clients per client and day.
        falsely_found: clean clients that the alarm, set for that budget, finds when each is scored out of sample.
        hits_needed: by detector, the fewest hits in a row, all above its highest line, that make a finding.
    """

    model: str
    rows: int
    clients: int
    client_days: float
    clients_per_day: float
    falsely_found: int
    hits_needed: Mapping[str, int]

    @property
    def supported(self) -> float:
        """Upper 95 % Poisson limit of falsely found clients per client and day; 3 / client-days if there were none."""
        return events_limit(self.falsely_found) / self.client_days

    @property
    def client_days_needed(self) -> float:
        """Client-days without a falsely found client that would show the configured budget to hold."""
        return events_limit(0) / self.clients_per_day

    def lines(self) -> list[str]:
        hits = ", ".join(f"{name} {n}" for name, n in self.hits_needed.items())
        verdict = "no client" if self.falsely_found == 0 else f"{self.falsely_found} of its clients"
        return [
            f"{self.model}: {self.rows} rows of {self.clients} clients, {self.client_days:.3g} client-days",
            f"  scored out of sample, {verdict} would have been found: this much traffic can show at most "
            f"{self.supported:.2g} falsely found clients per client and day (95 %)",
            f"  the configured budget is {self.clients_per_day:g}; to show that it holds takes "
            f"{self.client_days_needed:.0f} client-days without a false find",
            f"  fewest hits in a row for a finding: {hits}",
        ]


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """All models' reports, by name."""

    models: tuple[ModelReport, ...]

    def lines(self) -> list[str]:
        """For people, one line each."""
        return [line for model in self.models for line in model.lines()]


def events_limit(count: int) -> float:
    """Exact upper 95 % limit of a Poisson mean of which ``count`` were seen; 2.996 for none (the rule of three)."""
    return float(stats.chi2.ppf(_CONFIDENCE, 2 * (count + 1)) / 2.0)
