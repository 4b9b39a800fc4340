"""A run that needs more memory than there is ends with one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from semipose.errors import SemiposeError

# what torch says on a GPU and on a CPU
SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "Storage size calculation overflowed")


@contextmanager
def explained_memory_faults() -> Iterator[None]:
    """Raises SemiposeError in place of a MemoryError, and of torch's RuntimeError about memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = " ".join(str(error).split())
        if not (isinstance(error, MemoryError) or any(sign in text for sign in SIGNS)):
            raise
        raise SemiposeError(
            "the memory is too small; smaller TRAIN.BATCH_SIZE, TRAIN.BATCH_SIZE_UNSUP, TEST.BATCH_SIZE or "
            f"MODEL.IMAGE_SIZE, DATASET.CACHE none, TRAIN.AMP: {text[:120]}"
        ) from error
