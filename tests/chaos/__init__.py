"""Attacks on biounet: what goes wrong in the world is done to it on purpose, with seeds, so that it can be done again.

One file per kind of attack. Each has ``CASES``, a table of name -> case, and ``run(case, seed, folder)``, which does
one thing to one case in an empty folder, and returns what went wrong as a line, or nothing. `ATTACKS` in
``__main__.py`` lists the files::

    python -m tests.chaos                                     # all attacks, as `make chaos` does
    python -m tests.chaos records --count 500                 # 500 seeds of each case of one attack
    python -m tests.chaos records --case record --seed 17     # one finding, played again

A finding is printed as the command that plays it again. ``test_*.py`` beside an attack plays a few seconds of it in
`make test`. What an attack has found becomes a test by hand, beside the module that was mended.
"""
