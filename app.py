"""The page of tvad, from a checkout: `python app.py [--host H] [--port P] ...`, the same as `tvad serve`.

Next: chat/ui.py
"""

import sys


def main() -> None:
    """Open the page."""
    from tvad.cli import main as run

    run(["serve", *sys.argv[1:]])


if __name__ == "__main__":
    main()
