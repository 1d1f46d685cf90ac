"""
A ledger as Prometheus metrics: what all who use it spent, and how its budgets stand.

    from prometheus_client import REGISTRY
    from solvent.export import prometheus

    REGISTRY.register(prometheus.Collector(store))

Needs ``pip install 'solvent[prometheus]'``. A sample of Prometheus is a floating-point number: money is dollars here,
and nanodollars in ``solvent report --json``, where it is exact.

Counters are sums over the journal, and grow with it. One thing is taken back there: what a call was charged whose end
nobody saw, once its true cost comes. Such calls stand apart, as ``estimated="expired"``, so that the sum over all
series is the ledger's, and none of the others ever falls.

Source:
    prometheus.io/docs, "Metric and label naming" and "Writing exporters", read 2026-11-22.
"""

import threading
from typing import TYPE_CHECKING

from solvent._amounts import NANODOLLARS_PER_DOLLAR
from solvent._records import Account
from solvent.errors import SolventError
from solvent.export._bounded import above_runs, is_above_runs
from solvent.export._extras import missing
from solvent.export._series import Series, of_budgets, of_calls, of_reservations
from solvent.stores._protocol import Store

if TYPE_CHECKING:
    from prometheus_client import Metric


class Collector:
    """
    Reads a ledger whenever the registry of ``prometheus_client`` asks it to.

    Raises:
        SettingsError: ``prometheus_client`` is not installed.
    """

    def __init__(self, store: Store) -> None:
        try:
            import prometheus_client  # noqa: F401  # Here, where whoever needs it can be told.
        except ImportError as error:
            raise missing("prometheus", error) from error
        self._store = store
        self._lock = threading.Lock()
        self._seen = 0
        self._limits: dict[Account, int | None] = {}  # Those that came with runs, by the last one that had them.

    def describe(self) -> "list[Metric]":
        """
        Nothing: to be registered it need not read the ledger.
        """
        return []

    def collect(self) -> "list[Metric]":
        """
        All metrics; where the ledger cannot be read, only that it is so.
        """
        try:
            return [_metric(series) for series in self.read()]
        except SolventError:
            return [_metric(_up(False))]

    def read(self) -> list[Series]:
        """
        The same, exact.

        Raises:
            StoreUnavailable, LedgerCorrupt: The ledger cannot be read.
        """
        self._store.expire()  # As every view of amounts does, so that they agree.
        groups, held = self._store.groups(), self._store.held()
        limits = self._limits_of_openings()
        paths = {facts.scope for facts in groups} | {entry.scope for entry in held}
        paths |= {account.scope for account in limits}
        # One by one: runs, which are not shown, are far more.
        shown = sorted({scope for path in paths for scope in above_runs(path)})
        balances = [balance for scope in shown for balance in self._store.balances(scope, below=False)]
        return [_up(True), *of_calls(groups), *of_reservations(held), *of_budgets(balances, limits)]

    def _limits_of_openings(self) -> dict[Account, int | None]:
        with self._lock:
            for entry in self._store.entries(after=self._seen, kinds={"open", "set_limit", "top_up"}):
                self._seen = entry.seq
                for posting in entry.postings:
                    if not is_above_runs(posting.account.scope):
                        continue
                    if entry.kind == "open":
                        self._limits[posting.account] = posting.limit
                    else:  # What it is, its balance says.
                        self._limits.setdefault(posting.account, None)
            return dict(self._limits)


def _up(is_up: bool) -> Series:
    about = "1 where the ledger could be read, else 0."
    return Series(kind="gauge", name="solvent_up", about=about, values={(): int(is_up)})


def _metric(series: Series) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    family = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
    metric = family(series.name, series.about, labels=series.labels)
    unit = NANODOLLARS_PER_DOLLAR if series.is_money else 1
    for labels, value in series.values.items():
        metric.add_metric(labels, float(value / unit))
    return metric


def text(store: Store) -> str:
    """
    All metrics in Prometheus's text format, as a textfile collector takes it.

    Raises:
        SettingsError: ``prometheus_client`` is not installed.
        StoreUnavailable, LedgerCorrupt: The ledger cannot be read.
    """
    read = Collector(store).read()
    from prometheus_client import generate_latest

    return generate_latest(_Read(read)).decode()


def serve(store: Store, port: int, host: str) -> threading.Thread:
    """
    Serve them to who asks over HTTP, by a thread of its own that ends with the program.

    Raises:
        SettingsError: ``prometheus_client`` is not installed.
        OSError: Nothing can be served there.
    """
    collector = Collector(store)
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(collector)
    return start_http_server(port, host, registry)[1]


class _Read:
    def __init__(self, series: list[Series]) -> None:
        self._series = series

    def collect(self) -> "list[Metric]":
        return [_metric(series) for series in self._series]
