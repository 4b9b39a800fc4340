"""Score a checkpoint."""

from semipose.cli import valid

if __name__ == "__main__":
    valid()
