"""Data: readers of annotations, context crops and their cache, samplers and loaders."""
