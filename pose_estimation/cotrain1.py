"""Joint co-training of two networks."""

from semipose.cli import cotrain1

if __name__ == "__main__":
    cotrain1()
