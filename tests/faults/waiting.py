"""Wait for what happens in another thread or process."""

import time


def until(found, seconds=20):
    """Wait until ``found()`` is true, and give what it gave."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return result
