"""`flightlog` on the command line: finds the command line's packages, or says how to get them."""

import sys

NEEDED = frozenset({"click", "rich"})


def main() -> None:
    """Run the command line and exit: 0 done, 1 expected negative, 2 failure, 3 usage, 130 Ctrl-C."""
    try:
        from flightlog.cli.run import run

        code = run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        sys.stderr.write(f"flightlog: {error.name} is not installed: pip install 'flightlog[cli]'\n")
        code = 2
    except KeyboardInterrupt:
        code = 130  # so early that nobody else could take it
    sys.exit(code)


if __name__ == "__main__":
    main()
