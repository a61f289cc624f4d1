"""`python -m tvad` is `tvad`."""

from tvad.cli import main

main()
