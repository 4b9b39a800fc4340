"""The training engine: loop, optimiser steps, checkpoints, interrupts, progress and tracking."""
