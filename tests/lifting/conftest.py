import pytest


@pytest.fixture(scope="session")
def figures_root(tmp_path_factory):
    """Moving figures: 2 labelled and 4 unlabelled sequences, 2 to validate on, of 30 frames."""
    from semipose.lifting.figure_data import write_figures
    from semipose.skeletons import get_skeleton

    root = tmp_path_factory.mktemp("figures")
    write_figures(root, get_skeleton("h36m"), labeled=2, unlabeled=4, val=2, frames=30, seed=0)
    return root
