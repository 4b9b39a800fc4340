#!/usr/bin/env bash
# All that wants a GPU, in less than eight minutes, as one table; from a fresh checkout, without a network.
#
#   benchmarks/gpu.sh                       with the packages of python3 (PYTHON=... for another one)
#   WHEELS=DIR benchmarks/gpu.sh            packages that are missing are installed from the wheels in DIR
#   benchmarks/gpu.sh --device cpu --quick  only to see that it works
#   benchmarks/gpu.sh --help                what else can be said
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
export PYTHONPATH="$PWD/lib${PYTHONPATH:+:$PYTHONPATH}" WANDB_MODE=offline PIP_BREAK_SYSTEM_PACKAGES=1
wheels=${WHEELS:-wheels}
for package in $("$python" benchmarks/missing_packages.py); do
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --find-links "$wheels" "$package" ||
    echo "gpu.sh: $package is missing here and in $wheels" >&2
done
exec "$python" benchmarks/bench_gpu.py "$@"
