"""The program ``budwood``: ``python -m budwood`` is the same."""

import signal
import sys
import threading

from budwood import _budwood


def main() -> None:
    """Does what the words of the command line ask for, and ends the process."""
    # As for any program: Python would keep Ctrl-C for itself.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_budwood.main([sys.executable, "-m", "budwood"], sys.argv[1:]))


if __name__ == "__main__":
    main()
