"""Sequential co-training of two networks."""

from semipose.cli import cotrain

if __name__ == "__main__":
    cotrain()
