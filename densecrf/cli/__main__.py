"""``python -m densecrf.cli``: the same as ``densecrf``."""

import sys

from densecrf.cli import main

sys.exit(main())
