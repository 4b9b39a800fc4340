"""The same as `semipose groups`."""

import sys

from semipose.jobs.generate_group_id_mapping import main

if __name__ == "__main__":
    sys.exit(main())
