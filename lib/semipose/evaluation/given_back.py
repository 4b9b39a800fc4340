"""How much of what missing labels cost a method gives back: the number to compare between data sets."""


def share_given_back(method: float, supervised: float, all_labels: float) -> float | None:
    """`(method - supervised) / (all labels - supervised)` in percent; None if all labels gain nothing.

    Args:
        method: a metric of a method that learns from few labels and the pool.
        supervised: the same metric of few labels alone.
        all_labels: the same metric of the labels of the whole pool, at equal steps. Metrics where lower is better count
            as well, as both differences then are negative.
    """
    cost = all_labels - supervised
    return 100 * (method - supervised) / cost if cost else None
