"""The keys of LIFT, for TASK lift: each with its default, what is allowed, and a comment."""

from semipose.config.key import Key

LIFT_KEYS = {
    "LIFT.CAMERAS": Key("cameras.json"),  # file below DATASET.ROOT: {NAME: {R, T, f, c, k, p, w, h}}
    "LIFT.UNIT": Key("m", choices=("m", "mm")),  # of 3D labels and of T
    "LIFT.SPACE": Key("camera", choices=("camera", "world")),  # that 3D labels are in
    # joint that poses are relative to, or two whose middle that is: "left_hip right_hip"
    "LIFT.ROOT": Key("pelvis"),
    "LIFT.REMOVE_ROOT": Key(False),  # networks do not give the root itself; for a ROOT of one joint
    # 2D input: image = from the image centre, in half widths; camera = directions, the same whatever the focal length
    # and the distortion, and roots are where they are seen
    "LIFT.INPUT": Key("image", choices=("image", "camera")),
    # 2D joints around the 2D root and magnified, so that a pose does not depend on where in the picture it is
    "LIFT.CENTRED": Key(False),
    "LIFT.NETWORK": Key("videopose3d", choices=("videopose3d", "simplebaseline3d")),
    "LIFT.FRAMES": Key(27, low=1, high=243),  # that a network sees: 3, 9, 27, 81 or 243; 1 for simplebaseline3d
    "LIFT.STEP": Key(1, low=1),  # frames of the sequence from one of them to the next
    "LIFT.CAUSAL": Key(False),  # the pose is that of the last one, else of the middle one
    "LIFT.PAD": Key(True),  # repeat the first and the last frame of a sequence; else poses at its ends are left out
    "LIFT.CHANNELS": Key(1024, low=1, high=8192),
    "LIFT.DROPOUT": Key(0.25, low=0, high=0.95),  # VideoPose3D; SimpleBaseline3D was published with 0.5
    "LIFT.TRAJECTORY": Key(True),  # a second network for the place of the root; projections need it
    # of students on unlabelled tracks: standard deviation of noise on their 2D input (half widths), share mirrored
    "LIFT.HARD_NOISE": Key(0.0, low=0, high=1),
    "LIFT.HARD_FLIP": Key(0.5, low=0, high=1),
}
