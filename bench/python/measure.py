"""Measuring in turns, tables and plots."""

import statistics
import sys
import time


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(calls, rounds):
    """Return the median of each call's seconds, measured one after the other, in a changing order."""
    times = {name: [] for name in calls}
    for turn in range(rounds + 1):
        order = list(calls) if turn % 2 else list(calls)[::-1]
        for name in order:
            taken = seconds(calls[name])
            # The first round warms up.
            if turn:
                times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def report(cases):
    """Print the ratios of each case to heirloom, and plot them if the command names a file."""
    for case, took in cases.items():
        print(f"{case}: heirloom {took['heirloom'] * 1e3:.3f} ms")
        for name, taken in took.items():
            if name != "heirloom":
                print(f"    {name:<36} {taken / took['heirloom']:8.2f}")
    if len(sys.argv) > 1:
        plot(cases, sys.argv[1])


def plot(cases, file):
    """Draw the ratios, one group of bars for each case. It needs matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "heirloom"
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for took in cases.values() for name in took))
    colors = dict(zip(names, pyplot.get_cmap("tab10").colors, strict=False))
    figure, axes = pyplot.subplots(len(cases), 1, figsize=(8, 0.5 + sum(0.6 + 0.3 * len(took) for took in cases.values())))
    for axis, (case, took) in zip(axes, cases.items(), strict=True):
        ratios = {name: taken / took["heirloom"] for name, taken in took.items()}
        bars = axis.barh(list(ratios), list(ratios.values()), color=[colors[name] for name in ratios])
        axis.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios.values()], padding=3)
        axis.invert_yaxis()
        axis.margins(x=0.12)
        axis.set_title(case, loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("time, as a multiple of heirloom's")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
