"""Random generators as a function of (seed, step, sample): equal for any number of processes, and after a restart.

A counter-based generator (Philox) has no history. Its key is the seed and the purpose of the
numbers, its counter is the step and the sample. So nothing is saved to resume a run, and any process can draw
any sample.
"""

import zlib

import numpy as np

__all__ = ["generator"]


def generator(seed: int, step: int, sample: int, *, stream: str = "augment") -> np.random.Generator:
    """Return the random generator of one sample of one training step.

    Parameters
    ----------
    seed : at least 0
        Of the run.
    step : at least 0
        Number of the update, counted from the start of the run.
    sample : at least 0
        Number of the sample in the batch of that step, counted over all ranks.
    stream : any text
        What the numbers are for. Streams are independent, so a new use of chance changes no other.

    Returns
    -------
    numpy generator
        Equal arguments give equal numbers, on every machine. Different arguments give numbers that
        never overlap: a sample has 2**128 blocks of four words of its own.

    Raises
    ------
    ValueError
        If a number is negative or does not fit 64 bits.

    Notes
    -----
    Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".

    Examples
    --------
    >>> first, again = generator(0, 7, 3), generator(0, 7, 3)
    >>> bool(first.random() == again.random())
    True
    """
    for name, value in (("seed", seed), ("step", step), ("sample", sample)):
        if not 0 <= value < 2**64:
            raise ValueError(f"{name} must be between 0 and 2**64 - 1, got {value}; chance is counted, not guessed")
    key = np.array([seed, zlib.crc32(stream.encode())], dtype=np.uint64)
    counter = np.array([0, 0, sample, step], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
