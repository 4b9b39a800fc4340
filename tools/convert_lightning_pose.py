"""The same as `semipose convert lightning-pose`."""

import sys

from semipose.jobs.convert_lightning_pose import main

if __name__ == "__main__":
    sys.exit(main())
