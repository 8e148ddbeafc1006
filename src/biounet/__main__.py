"""The command line, for ``python -m biounet``."""

from biounet.cli import main

if __name__ == "__main__":
    main()
