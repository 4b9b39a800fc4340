"""The same as `semipose plot`."""

import sys

from semipose.jobs.plot_runs import main

if __name__ == "__main__":
    sys.exit(main())
