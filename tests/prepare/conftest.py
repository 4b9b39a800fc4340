"""Fixtures of the tests of preparation."""

from small_persons import draw_image, make_persons, people  # noqa: F401
