"""Learning curves."""

from __future__ import annotations

import pathlib
import typing

import numpy

from dkl_ae.outputs import finished_file, save_figure

if typing.TYPE_CHECKING:
    from dkl_ae.benchmarks.results import RegressionResult, Results, SearchResult


def picture_of(file: str) -> str:
    """The name of the picture of a recorded set, which is named without its suffix."""
    return f"learning_{file}.png"


def save(results: Results, folder: pathlib.Path) -> None:
    """One picture a file: R2 and coverage against the number of random points, and what a search for the best found."""
    # The windowless canvas, not pyplot: pyplot would choose a backend for the whole process.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    all_rows: list[RegressionResult | SearchResult] = [*results.regressions, *results.searches]
    methods = list(dict.fromkeys(row.method for row in all_rows))
    for file in dict.fromkeys(row.file for row in all_rows):
        names = list(dict.fromkeys(row.target for row in results.regressions if row.file == file))
        figure = Figure(figsize=(3.4 * max(len(names), 2), 9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(3, max(len(names), 2), squeeze=False)
        for column, name in enumerate(names):
            for number, method in enumerate(methods):
                shown = file, name, method
                rows = [row for row in results.regressions if (row.file, row.target, row.method) == shown]
                counts = sorted({row.points for row in rows})
                for line, measure in enumerate(("r2", "covered_95")):
                    means = [
                        numpy.mean([getattr(row.quality, measure) for row in rows if row.points == count])
                        for count in counts
                    ]
                    axes[line, column].plot(counts, means, "o-", color=f"C{number}", label=method)
            axes[0, column].set(title=name, xscale="log", ylim=(-0.2, 1.02), xlabel="random points")
            axes[1, column].set(xscale="log", ylim=(0, 1.02), xlabel="random points")
            axes[1, column].axhline(0.95, color="grey", linewidth=0.5)
        axes[0, 0].set_ylabel("R2 of the map")
        axes[1, 0].set_ylabel("covered by 95 % intervals")
        for number, method in enumerate(methods):
            searches = [row for row in results.searches if (row.file, row.method) == (file, method)]
            if searches:
                found = numpy.median([numpy.array(row.found) / row.best_of for row in searches], axis=0)
                largest = numpy.median([row.largest for row in searches], axis=0)
                steps = numpy.arange(1, len(found) + 1)
                axes[2, 0].plot(steps, found, color=f"C{number}", label=method)
                axes[2, 1].plot(steps, largest, color=f"C{number}", label=method)
        axes[2, 0].set(xlabel="points", ylabel="found of the best 1 %", xlim=(0, 80), ylim=(0, 1.02))
        axes[2, 1].set(xlabel="points", ylabel="largest of the readings there are", xlim=(0, 80), ylim=(0, 1.02))
        labelled = {line.get_label(): line for row in axes for axis in row for line in axis.get_lines()}
        there = [method for method in methods if method in labelled]
        figure.legend([labelled[method] for method in there], there, loc="outside lower center", ncols=5)
        for unused in axes[2, 2:]:
            unused.set_axis_off()
        figure.suptitle(file)
        with finished_file(folder / picture_of(file), overwrite=True) as unfinished:
            save_figure(figure, unfinished, dpi=75)
