"""The same as `semipose demo-data`."""

import sys

from semipose.jobs.make_demo_data import main

if __name__ == "__main__":
    sys.exit(main())
