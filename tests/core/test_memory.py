"""Memory that a process keeps, or gives back to the system."""

import platform
import subprocess
import sys

import pytest

from processes import process_of

FREED = """
import numpy as np

from biounet.core.memory import freed_memory_kept, resident_bytes

with freed_memory_kept():
    before = resident_bytes()
    block = np.ones(2**28, np.uint8)
    del block
    print(resident_bytes() - before)
print(resident_bytes() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_freed_memory_stays_until_the_end_of_the_context():
    # A process of its own: this one may have freed so much before that nothing is added.
    with process_of([sys.executable, "-c", FREED], stdout=subprocess.PIPE, text=True) as process:
        kept, left = (int(line) for line in process.communicate()[0].split())
    assert kept > 2**27
    assert left < 2**27
