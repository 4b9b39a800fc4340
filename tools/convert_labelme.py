"""The same as `semipose convert labelme`."""

import sys

from semipose.jobs.convert_labelme import main

if __name__ == "__main__":
    sys.exit(main())
