"""Attacks on biounet: what goes wrong in the world is done to it on purpose, with seeds, so that it can be done again.

One file per kind of attack. Each has ``CASES``, names of cases, and ``run(case, seed, folder)``, which does one thing
to one case in an empty folder and returns an `Outcome`. `ATTACKS` in ``__main__.py`` lists the files::

    python -m tests.chaos                                     # all attacks, as `make chaos` does
    python -m tests.chaos kills --count 100                   # 100 seeds of each case of one attack
    python -m tests.chaos kills --case zarr --seed 17         # one finding, played again

A finding is printed as the command that plays it again. ``test_*.py`` beside the attacks play a few seconds of each in
`make test`. What an attack has found becomes a test by hand, beside the module that was mended.

Commands run in processes of their own, which ``fork_server.py`` forks; ``jobs.py`` has the commands.
"""
