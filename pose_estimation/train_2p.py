"""One network: a warm-up on labelled images, then semi-supervised learning."""

from semipose.cli import train_2p

if __name__ == "__main__":
    train_2p()
