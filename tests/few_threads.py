"""One thread a process, here and in all that tests start: they run side by side, and threads that wait for a core spin.

Imported before torch, which reads it once. A number that is set already stays.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
