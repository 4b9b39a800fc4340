"""`python -m semipose JOB`."""

from semipose.jobs import main

if __name__ == "__main__":
    main()
