"""`python -m benchmarks.ablations`."""

import sys

from benchmarks.ablations.run import main

if __name__ == "__main__":
    sys.exit(main())
