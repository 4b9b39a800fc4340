"""The same as `semipose demo drawn`."""

import sys

from semipose.jobs.demo_drawn import main

if __name__ == "__main__":
    sys.exit(main())
