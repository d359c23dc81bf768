"""``densecrf info``: what this build is, what it finds here, which parameters were published."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from dataclasses import asdict
from typing import Any

from densecrf import _device, _parameters, build_info, presets
from densecrf.cli import say
from densecrf.cli.options import Json

HELP = "Show what this build is, what it finds on this machine, and the published parameter sets."

PACKAGES = ("numpy", "pillow", "scikit-image", "torch", "cupy", "ray")


def command(as_json: Json = False) -> None:
    """Prints a table of facts and one of presets."""
    facts = _facts()
    sets = {name: asdict(_parameters.of_preset(preset)) for name, preset in presets.items()}
    if as_json:
        say.as_json({**facts, "presets": sets})
    else:
        _print(facts, sets)


def _facts() -> dict[str, Any]:
    return {
        **build_info(),
        "device_cuda": _cuda(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _cuda() -> str:
    """What --device cuda would do."""
    try:
        _device.require("cuda")
    except ValueError as error:
        return str(error)
    return "works"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _print(facts: dict[str, Any], sets: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    grid = Table.grid(padding=(0, 2))
    packages = facts["packages"].items()
    rows = {
        "densecrf": facts["version"],
        "instruction set": facts["isa"],
        "threads": facts["threads"],
        "CUDA": facts["cuda"],
        "--device cuda": facts["device_cuda"],
        "Python": f"{facts['python']} on {facts['platform']}",
        "packages": ", ".join(f"{name} {version}" for name, version in packages if version),
        "not installed": ", ".join(name for name, version in packages if not version),
    }
    for name, value in rows.items():
        if value != "":
            grid.add_row(name, str(value))
    console.print(grid)
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("preset", no_wrap=True)
    for title in ("w1", "sigma\nalpha", "sigma\nbeta", "w2", "sigma\ngamma", "iter."):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("normal-\nization", no_wrap=True)
    table.add_column("source")
    names = ("w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma", "iterations")
    for name, values in sets.items():
        numbers = [f"{values[key]:g}" for key in names]
        table.add_row(name, *numbers, values["normalization"], values["source"])
    console.print(table)
