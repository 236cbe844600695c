"""`python -m watchdog`: the same as `model-watchdog`."""

from watchdog.cli import main

if __name__ == "__main__":
    main()
