"""The command line: what the Makefile calls."""

from orchestration.cli import main

main()
