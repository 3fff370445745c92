"""`python -m gateway` and the console script `cdi-gateway`: the same command line."""

import sys

from gateway.cli.commands import run


def main() -> None:
    sys.exit(run())


if __name__ == "__main__":
    main()
