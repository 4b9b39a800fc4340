"""The same as `semipose convert lsp`."""

import sys

from semipose.jobs.convert_lsp import main

if __name__ == "__main__":
    sys.exit(main())
