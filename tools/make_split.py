"""The same as `semipose split`."""

import sys

from semipose.jobs.make_split import main

if __name__ == "__main__":
    sys.exit(main())
