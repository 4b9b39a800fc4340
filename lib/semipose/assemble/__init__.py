"""From a configuration to the parts of a run. Nothing below this package reads the configuration."""

from semipose.assemble.constraints import build_label_constraints
from semipose.assemble.devices import build_backend, build_device, gpu_names
from semipose.assemble.lifting_checkpoint import build_track_lifter, score_lifting
from semipose.assemble.networks import build_algorithm, build_network
from semipose.assemble.recipe import build_policies, build_recipe
from semipose.assemble.sources_and_sets import RunData, algorithm_entry, build_data, build_dataset, read_validation
from semipose.assemble.tasks import find_task
from semipose.assemble.training import build_pair_loader, build_stepper, build_trainer
from semipose.assemble.validator import build_validator

__all__ = [
    "RunData", "algorithm_entry", "build_algorithm", "build_backend", "build_data", "build_dataset",
    "build_device", "build_label_constraints", "build_network", "build_pair_loader", "build_policies", "build_recipe",
    "build_stepper", "build_track_lifter", "build_trainer", "build_validator", "find_task", "gpu_names",
    "read_validation", "score_lifting",
]  # fmt: skip
