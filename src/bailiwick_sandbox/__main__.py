"""Run the sandbox with ``python -m bailiwick_sandbox``."""

from bailiwick_sandbox.cli import main

if __name__ == "__main__":
    main()
