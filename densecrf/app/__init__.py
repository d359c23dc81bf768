"""``densecrf app``: a page in the browser on which a picture's refinement follows the sliders.

Needs what ``pip install "densecrf[app]"`` brings; nothing of it is imported before `launch` is called. No network is
needed: everything the page is made of comes from this machine.
"""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["launch"]

LOOPBACK = "127.0.0.1"


def missing_packages() -> list[str]:
    """Names those of the app's packages that are not installed, as pip calls them."""
    needed = {"gradio": "gradio", "PIL": "pillow", "skimage": "scikit-image"}
    return [package for module, package in needed.items() if find_spec(module) is None]


def launch(host: str = LOOPBACK, port: int | None = None, open_browser: bool = True) -> None:
    """Runs the page until it is interrupted.

    Args:
        host: the address to bind to; only this machine reaches the default.
        port: the port to bind to; 0 for any; None for the first that is free, from 7860.
        open_browser: whether to open the page in a browser.

    Raises:
        OSError: the address cannot be had.
    """
    from densecrf.app.server import serve

    serve(host, port, open_browser)
