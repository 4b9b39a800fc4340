"""Which pictures to label next: those that the networks of a run are least sure of, and that differ from each other.

`shots` are the pictures, `committee` asks the networks, `scores` weighs their answers, `choice` picks, `files` writes.
"""
