"""`python -m acereason.cli`, the same as `acereason`."""

import sys

from acereason.cli import main

sys.exit(main())
