"""The same as `semipose browse`."""

import sys

from semipose.jobs.browse_dataset import main

if __name__ == "__main__":
    sys.exit(main())
