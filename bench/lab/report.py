"""The results of bench/compare: medians, spreads and ratios, as a table for a terminal, as Markdown and as JSON."""

import math
import statistics


class Summary:
    """What the rounds of one metric and system come to: None where nothing was measured."""

    def __init__(self, values, baseline=(), best_peer=()):
        self.values = values
        known = [value for value in values if value is not None]
        self.median, self.lowest, self.highest = (statistics.median(known), min(known), max(known)) if known else (None, None, None)
        self.of_veth, self.of_best_peer = _ratio(values, baseline), _ratio(values, best_peer)

    def as_json(self):
        return {"values": self.values, "median": self.median, "min": self.lowest, "max": self.highest,
                "of_veth": self.of_veth, "of_best_peer": self.of_best_peer}


def _ratio(values, others):
    """The median of the ratios within each round: what slows the machine down for a while slows both."""
    ratios = [value / other for value, other in zip(values, others) if value is not None and other]
    return statistics.median(ratios) if ratios else None


class Results:
    """Values by system name and metric name, one per round; None where a round has none."""

    def __init__(self, systems, metrics):
        self.systems, self.metrics = systems, metrics
        self.values = {system.name: {} for system in systems}

    def add(self, system, number, found):
        """Takes what round `number` (from 0) has found."""
        for name, value in found.items():
            rounds = self.values[system.name].setdefault(name, [])
            rounds += [None] * (number + 1 - len(rounds))
            rounds[number] = value

    def earlier(self, system):
        return self.values[system.name]

    @property
    def is_empty(self):
        return not any(self.values.values())

    def of(self, system, name):
        return self.values[system.name].get(name, [])

    def best_peer(self, metric, layer=3):
        """The system of other people with the best median among those of the layer, or None."""
        medians = {system: Summary(self.of(system, metric.name)).median
                   for system in self.systems if system.kind == "peer" and system.layer == layer}
        medians = {system: median for system, median in medians.items() if median is not None}
        return (min if metric.less_is_better else max)(medians, key=medians.get, default=None)

    def summary(self, system, metric):
        baselines = [other for other in self.systems if other.kind == "baseline"]
        peer = self.best_peer(metric, system.layer)
        return Summary(self.of(system, metric.name), self.of(baselines[0], metric.name) if baselines else (),
                       self.of(peer, metric.name) if peer else ())

    # - forms

    @property
    def measured(self):
        """The metrics that at least one system has a value of."""
        return [metric for metric in self.metrics if any(self.of(system, metric.name) for system in self.systems)]

    def as_json(self):
        found = {}
        for metric in self.metrics:
            peers = {str(layer): peer.name for layer in (3, 2) if (peer := self.best_peer(metric, layer))}
            found[metric.name] = {"title": metric.title, "unit": metric.unit, "scale": metric.scale,
                                  "better": "less" if metric.less_is_better else "more", "best_peer_by_layer": peers,
                                  "systems": {system.name: self.summary(system, metric).as_json() for system in self.systems}}
        return {"systems": [{"name": system.name, "title": system.title, "kind": system.kind, "layer": system.layer, "failure": system.failure}
                            for system in self.systems],
                "metrics": found, "values": self.values}

    def as_table(self):
        width = max(len(system.title) for system in self.systems) + 2
        lines = []
        for metric in self.measured:
            best = "".join(f", best peer{' that carries Ethernet' if layer == 2 else ''}: {peer.title}"
                           for layer in (3, 2) if (peer := self.best_peer(metric, layer)))
            lines += [f"{metric.title}, {metric.unit}{best}",
                      f"{'':{width}}{'median':>9}  {'min–max':<17}{'of veth':>9}{'of best peer':>14}"]
            for system in self.systems:
                summary = self.summary(system, metric)
                lines.append(f"  {system.title:{width - 2}}{_number(summary.median, metric):>9}  {_spread(summary, metric):<17}"
                             f"{_times(summary.of_veth):>9}{_times(summary.of_best_peer):>14}")
            lines.append("")
        return "\n".join(lines + self._failures())

    def as_markdown(self):
        lines = ["| median (min–max), × bare veth, × best peer | " + " | ".join(system.title for system in self.systems) + " |",
                 "|---" * (len(self.systems) + 1) + "|"]
        for metric in self.measured:
            cells = []
            for system in self.systems:
                summary = self.summary(system, metric)
                if summary.median is None:
                    cells.append("-")
                    continue
                ratios = ", ".join("-" if ratio is None else f"× {_times(ratio)}" for ratio in (summary.of_veth, summary.of_best_peer))
                cell = f"{_number(summary.median, metric)} ({_spread(summary, metric)})"
                cells.append(cell if ratios == "-, -" else f"{cell}<br>{ratios}")
            lines.append(f"| {metric.title}, {metric.unit} | " + " | ".join(cells) + " |")
        return "\n".join(lines + ["", *self._failures()])

    def _failures(self):
        lines = []
        for system in self.systems:
            if system.failure:
                first, *log = system.failure.splitlines()
                lines += [f"{system.title}: failed: {first}", *(f"    {line}" for line in log)]
        return lines


def _number(value, metric):
    if value is None:
        return "-"
    value *= metric.scale
    digits = 0 if value >= 100 or metric.unit == "µs" else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def _spread(summary, metric):
    return "-" if summary.median is None else f"{_number(summary.lowest, metric)}–{_number(summary.highest, metric)}"


def _times(ratio):
    if ratio is None:
        return "-"
    digits = 0 if ratio >= 100 else 1 if ratio >= 10 else 2 if ratio >= 0.1 or ratio == 0 else 1 - math.floor(math.log10(ratio))
    return f"{ratio:.{digits}f}"
