"""Pictures of the routing simulation, by Matplotlib: `pip install bailiwick-pay[plots]`."""

from pathlib import Path

from bailiwick_lab.bench.routes.play import Played
from bailiwick_lab.bench.routes.world import MARKETS, Simulated

SMOOTHED = 5
"""Minutes that a point of the first picture is the mean of."""


class NoPlots(Exception):
    """Matplotlib is not installed; the message says how to get it."""


def draw(world: Simulated, played: Played, folder: Path) -> list[Path]:
    """Write the pictures as SVG; the same run gives the same bytes. Raises NoPlots."""
    try:
        import matplotlib
    except ImportError:
        raise NoPlots("the plots need Matplotlib: pip install 'bailiwick-pay[plots]'") from None
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "bailiwick"
    folder.mkdir(parents=True, exist_ok=True)
    return [_rates(world, played, folder), _shares(world, played, folder)]


def _rates(world: Simulated, played: Played, folder: Path) -> Path:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4))
    minutes = [each[0] for each in played.series]
    for place, name in ((3, "oracle"), (2, "success"), (1, "static priority")):
        rates = [each[place] * 100 for each in played.series]
        axes.plot(minutes, _smooth(rates), label=name, linewidth=1.2)
    for outage in world.outages:
        start = outage.start_s / 60
        axes.axvspan(start, start + outage.lasts_s / 60, alpha=0.15, color="grey", linewidth=0)
    axes.set_xlabel("minutes (grey: brown-outs)")
    axes.set_ylabel("% of payments that succeed")
    axes.legend(loc="lower right")
    return _written(figure, folder / "routing-success.svg")


def _shares(world: Simulated, played: Played, folder: Path) -> Path:
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(len(MARKETS), 1, figsize=(9, 9), sharex=True)
    colours = {
        name: f"C{place}"
        for place, name in enumerate(sorted({n for each in MARKETS for n in each.chances}))
    }
    for axes, market in zip(rows, MARKETS, strict=True):
        shares = played.shares[market.country]
        for name in market.chances:
            axes.plot([each[name] * 100 for each in shares], color=colours[name], label=name)
        for outage in world.outages:
            if outage.gateway in market.chances:
                start = outage.start_s / 60
                axes.axvspan(
                    start, start + outage.lasts_s / 60, alpha=0.15, linewidth=0,
                    color=colours[outage.gateway],
                )  # fmt: skip
        axes.set_ylabel(f"{market.country}, {market.method}\n% of payments")
        axes.legend(loc="center right", fontsize="small")
    rows[-1].set_xlabel("minutes (shaded: brown-outs, in the gateway's colour)")
    return _written(figure, folder / "routing-shares.svg")


def _smooth(values: list[float]) -> list[float]:
    found = []
    for place in range(len(values)):
        near = values[max(0, place - SMOOTHED + 1) : place + 1]
        found.append(sum(near) / len(near))
    return found


def _written(figure: object, path: Path) -> Path:
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    assert isinstance(figure, Figure)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return path
