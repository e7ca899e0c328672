"""`python -m perf.ablations`."""

from perf.ablations.run import main, smallest
from perf.script import start

if __name__ == "__main__":
    start(main, smallest)
