"""Where a pixel goes: affine maps, boxes and views. Points are (x, y); the centre of the first pixel is (0, 0)."""
