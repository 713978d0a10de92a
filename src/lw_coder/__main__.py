"""Where lw_coder starts: a signal is remembered before anything is imported that takes time."""

from __future__ import annotations

from lw_coder.foundation import signals, streams


def main() -> None:
    """Run the command line and exit with its ExitCode."""
    streams.open_missing()
    signals.install()
    with signals.held():
        from lw_coder import cli
    cli.main()


if __name__ == "__main__":
    main()
