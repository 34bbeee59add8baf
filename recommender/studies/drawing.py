"""Plots of studies: axes with units, intervals drawn, colours that colour-blind people can tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recommender.studies.table import Study

matplotlib.use("agg")
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#882255", "#117733")
"""Okabe and Ito's palette without yellow and black, which vanish on a white or a dark page, and two more."""
_MARKERS = "osD^vPX*h"
_CELL_INCHES = 0.36
_LONGEST_TICK = 20
"""Longer names stand on the vertical axis alone; the horizontal one has their numbers."""
_THEMES = {"light": ("white", "#222222"), "dark": ("#121212", "#dddddd")}


def draw(study: Study, folder: Path) -> list[Path]:
    """Write SUBJECT-light and SUBJECT-dark as PNG and SVG; return the paths."""
    paths = []
    for theme, (paper, ink) in _THEMES.items():
        figure = Figure(facecolor=paper, layout="constrained")
        parts = list(_panels(study))
        for axes, part in zip(_laid_out(figure, parts), parts, strict=True):
            axes.set_facecolor(paper)
            {"bars": _bars, "lines": _lines, "heat": _heat}[study.plot.kind](part, axes, ink)
            _ink(axes, ink)
        for suffix in ("png", "svg"):
            path = folder / f"{study.subject}-{theme}.{suffix}"
            # Without a date and with a fixed salt, the same study gives the same file.
            with matplotlib.rc_context({"svg.hashsalt": "recommender"}):
                figure.savefig(path, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
            paths.append(path)
    return paths


def _panels(study: Study) -> Iterator[Study]:
    """The study in parts that each have axes of their own."""
    if not study.plot.panel:
        yield study
        return
    column = study.plot.panel
    for name in dict.fromkeys(row[column] for row in study.rows):
        rows = [row for row in study.rows if row[column] == name]
        yield replace(study, rows=rows, plot=replace(study.plot, x_label=study.plot.x_label or str(name)))


def _laid_out(figure: Figure, parts: Sequence[Study]) -> list[Axes]:
    """Axes for each part: heat maps one above the other, all else side by side with one scale."""
    if parts[0].plot.kind != "heat":
        figure.set_size_inches(8 if len(parts) == 1 else 5.5 * len(parts), 4.5)
        return list(figure.subplots(1, len(parts), squeeze=False, sharey=True)[0])
    names = [_names(part) for part in parts]
    heights = [_CELL_INCHES * len(own) + 1.2 for own in names]
    widths = [_CELL_INCHES * len(own) + 0.1 * max(map(len, own)) + 1 for own in names]
    figure.set_size_inches(max(8, *widths), sum(heights))
    return list(figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0])


def _names(study: Study) -> list[str]:
    """Of the rows and columns of a heat map."""
    return sorted({row[axis] for row in study.rows for axis in (study.plot.x, study.plot.y)})


def _ink(axes: Axes, ink: str) -> None:
    axes.tick_params(colors=ink)
    axes.xaxis.label.set_color(ink)
    axes.yaxis.label.set_color(ink)
    for name, spine in axes.spines.items():
        spine.set_color(ink)
        spine.set_visible(name in ("left", "bottom"))
    legend = axes.get_legend()
    if legend is not None:
        legend.get_frame().set_alpha(0)
        for text in legend.get_texts():
            text.set_color(ink)


def _bars(study: Study, axes: Axes, ink: str) -> None:
    plot, rows = study.plot, study.rows
    names = [str(row[plot.x]) for row in rows]
    values = np.array([row[plot.y] for row in rows])
    errors = None
    if plot.low:
        low, high = (np.array([row[c] for row in rows]) for c in (plot.low, plot.high))
        errors = np.clip([values - low, high - values], 0, None)
    axes.barh(names, values, xerr=errors, color=_COLOURS[0], ecolor=ink, capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel(plot.y_label)


def _lines(study: Study, axes: Axes, ink: str) -> None:
    plot = study.plot
    for i, name in enumerate(dict.fromkeys(row[plot.series] for row in study.rows)):
        rows = [row for row in study.rows if row[plot.series] == name]
        x, y = [row[plot.x] for row in rows], [row[plot.y] for row in rows]
        colour = _COLOURS[i % len(_COLOURS)]
        style = "-" if i < len(_COLOURS) else "--"
        axes.plot(x, y, style, color=colour, marker=_MARKERS[i % len(_MARKERS)], label=name)
        axes.fill_between(
            x, [r["low %"] for r in rows], [r["high %"] for r in rows], color=colour, alpha=0.08
        )
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.set_xscale("log")
    ticks = sorted({row[plot.x] for row in study.rows})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    if plot.series != plot.panel:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _heat(study: Study, axes: Axes, ink: str) -> None:
    plot = study.plot
    names = _names(study)
    values = np.full((len(names), len(names)), np.nan)
    for row in study.rows:
        if row[plot.value] is not None:
            values[names.index(row[plot.y]), names.index(row[plot.x])] = row[plot.value]
    most = np.nanpercentile(values, 90)
    axes.imshow(values, cmap="cividis_r", vmin=0, vmax=most)
    if max(map(len, names)) <= _LONGEST_TICK:
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
    else:
        axes.set_xticks(range(len(names)), [str(i) for i in range(1, 1 + len(names))])
        axes.set_yticks(range(len(names)), [f"{name}  {i}" for i, name in enumerate(names, 1)])
    for i, j in np.argwhere(np.isfinite(values)):
        colour = "white" if values[i, j] > most / 2 else "black"  # the map goes from yellow to dark blue
        axes.text(j, i, f"{values[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(f"{plot.y_label} ({plot.value})")
