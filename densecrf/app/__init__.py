"""``densecrf app``: a page in the browser on which a picture's refinement follows the sliders.

Needs what ``pip install "densecrf[app]"`` brings; nothing of it is imported before `launch` is called. No network is
needed: everything the page is made of comes from this machine.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

LOOPBACK = "127.0.0.1"


def main(host: str = LOOPBACK, port: int | None = None, open_browser: bool = True) -> int:
    """Runs the page until it is interrupted, with sentences instead of exceptions; gives the exit status.

    Args:
        host: the address to bind to; only this machine reaches the default.
        port: the port to bind to; 0 for any; None for the first that is free, from 7860.
        open_browser: whether to open the page in a browser.
    """
    missing = missing_packages()
    if missing:
        needs = " and ".join(missing)
        print(f'densecrf app: {needs} not installed; pip install "densecrf[app]"', file=sys.stderr)
        return 1
    try:
        launch(host, port, open_browser)
    except OSError as error:  # a port that is taken, an address that is not this machine's
        print(f"densecrf app: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def missing_packages() -> list[str]:
    """Names those of the app's packages that are not installed, as pip calls them."""
    needed = {"gradio": "gradio", "PIL": "pillow", "skimage": "scikit-image"}
    return [package for module, package in needed.items() if find_spec(module) is None]


def launch(host: str = LOOPBACK, port: int | None = None, open_browser: bool = True) -> None:
    """Runs the page until it is interrupted.

    Args:
        host: as in `main`.
        port: as in `main`.
        open_browser: as in `main`.

    Raises:
        OSError: the address cannot be had.
    """
    from densecrf.app.server import serve

    serve(host, port, open_browser)
