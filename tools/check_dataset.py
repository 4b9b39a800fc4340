"""The same as `semipose check`."""

import sys

from semipose.jobs.check_dataset import main

if __name__ == "__main__":
    sys.exit(main())
