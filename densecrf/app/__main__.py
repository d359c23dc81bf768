"""``python -m densecrf.app``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from densecrf import app


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the page with these arguments (the process's own by default); gives the exit status."""
    parser = argparse.ArgumentParser(prog="densecrf app", description="Refine a picture while you move the sliders.")
    parser.add_argument("--host", default=app.LOOPBACK, help="address to bind to (default: only this machine)")
    parser.add_argument("--port", type=int, help="port to bind to (default: the first that is free from 7860)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    options = parser.parse_args(argv)
    return app.main(options.host, options.port, not options.no_browser)


if __name__ == "__main__":
    sys.exit(main())
