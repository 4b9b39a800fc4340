"""Train the ALGORITHM that the configuration names."""

from semipose.cli import train

if __name__ == "__main__":
    train()
