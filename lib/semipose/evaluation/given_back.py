"""How much of what missing labels cost a method gives back: the number to compare between data sets."""


def share_given_back(
    method: float, supervised: float, all_labels: float, lower_is_better: bool = False
) -> float | None:  # fmt: skip
    """`(method - supervised) / (all labels - supervised)` in percent; None if all labels are no better than few.

    Args:
        method: a metric of a method that learns from few labels and the pool.
        supervised: the same metric of few labels alone.
        all_labels: the same metric of the labels of the whole pool, at equal steps.
        lower_is_better: the metric is an error.
    """
    gap = all_labels - supervised
    return 100 * (method - supervised) / gap if (gap < 0 if lower_is_better else gap > 0) else None
