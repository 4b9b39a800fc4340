"""Every key, once, with its default. A YAML file under `experiments/` sets what differs."""

from yacs.config import CfgNode as Node


def default_config() -> Node:
    """A fresh copy of the defaults."""
    c = Node()
    c.NAME = "run"  # run name, in the tracker and as folder (flag --name)
    c.OUTPUT_DIR = "output"  # runs are written to OUTPUT_DIR/NAME (flag --output-dir)
    c.SEED = 0  # of networks, samplers and views (flag --seed)
    # "" = the first GPU if there is one; "cpu"; the number of a GPU, "0"; or several, "0,1": a process on each, with
    # BATCH_SIZE and WORKERS of its own (flag --gpus)
    c.GPUS = ""
    c.WORKERS = 4  # loader processes of each side, labelled and unlabelled; 0 = no processes (flag --workers)
    # supervised, pose_cons, pose_dual, mean_teacher; cotrain, cotrain1 and train_2p by their scripts
    c.ALGORITHM = "supervised"

    c.DATASET = Node()
    c.DATASET.ROOT = "data/coco"  # folder that the sets below are in
    # keypoints of the networks: coco, mpii, aic, crowdpose, lsp, jhmdb, ochuman, coco_aic, mirror_mouse, or a file
    # (.yaml as in skeletons/file.py, or the metainfo .py of MMPose)
    c.DATASET.SKELETON = "coco"
    # A source is a set name (`train2017`), a path (COCO json, image folder, video), or a mapping with the keys of
    # config/source_keys.py, such as {format: aic, annotation: ..., images: ...}. All three SETs take one or a list.
    c.DATASET.TRAIN_SET = "train2017"
    c.DATASET.TRAIN_IMAGES = ""  # image folder of TRAIN_SET; "" = looked for in the usual places
    c.DATASET.TRAIN_LEN = 0  # labelled = the first N person instances; 0 = all
    c.DATASET.TRAIN_UNSUP_SET = []  # unlabelled sources; [] = all of TRAIN_SET
    c.DATASET.TEST_SET = "val2017"
    c.DATASET.TEST_IMAGES = ""  # image folder of TEST_SET; "" = looked for in the usual places
    c.DATASET.CACHE = "none"  # decoded crops: none, ram, disk
    c.DATASET.CACHE_DIR = "data/cache"  # for CACHE disk
    # Room for rotation and zooming out: a larger margin leaves less black at the borders of rotated views.
    c.DATASET.CROP_MARGIN = 1.25  # size of a stored crop in units of the input
    c.DATASET.BOX_PADDING = 1.25  # growth of the person box
    c.DATASET.MAX_BAD = 10  # unreadable images that are skipped before the run stops

    c.MODEL = Node()
    c.MODEL.BACKBONE = "resnet18"  # resnet18/34/50/101/152, light_unet, light_unet_deep
    c.MODEL.PRETRAINED = ""  # "" = from scratch, "imagenet" = torchvision's weights, or a local file
    # Parts of every network that do not learn, BatchNorm statistics included: names of modules or parameters, which
    # stand for all that is in them, such as ["backbone.conv1", "backbone.bn1", "backbone.layer[12]"]
    c.MODEL.FREEZE = []
    c.MODEL.IMAGE_SIZE = [192, 256]  # width, height
    c.MODEL.HEATMAP_SIZE = [48, 64]  # width, height
    c.MODEL.SIGMA = 2.0  # of the Gaussian, heatmap pixels
    c.MODEL.CODEC = "gaussian"  # gaussian (float centre, DARK decoding) or msra (as in the papers)
    c.MODEL.CHANNELS_LAST = True  # memory format of networks and images; faster on CPU and tensor cores

    c.TRAIN = Node()
    c.TRAIN.BATCH_SIZE = 32  # labelled images in a step, on each GPU
    c.TRAIN.BATCH_SIZE_UNSUP = 32  # unlabelled images in a step, on each GPU
    c.TRAIN.END_EPOCH = 30  # an epoch is one pass over the unlabelled set (supervised: over the labelled one)
    # Sequential co-training makes one such pass for each network.
    c.TRAIN.STEPS_PER_EPOCH = 0  # 0 = one pass; else an epoch has this many steps
    c.TRAIN.OPTIMIZER = "adam"  # adam, adamw, sgd
    c.TRAIN.LR = 0.001
    c.TRAIN.WD = 0.0  # weight decay
    c.TRAIN.MOMENTUM = 0.9  # for sgd
    c.TRAIN.CLIP_NORM = 0.0  # largest gradient norm; 0 = no clipping
    # Updates count, not steps, in WARMUP_STEPS; what counts epochs or steps elsewhere stays as it is.
    c.TRAIN.ACCUMULATE = 1  # steps whose mean gradient makes one update: a batch so many times as large
    # Factors of LR and WD for parts of the networks, such as ["backbone lr=0.1", "*.bn* wd=0"]: a pattern as in
    # MODEL.FREEZE (also worst_head, pseudo_head); the first that matches counts, for the rest the factors are 1.
    c.TRAIN.GROUPS = []
    c.TRAIN.NO_DECAY_NORM = False  # no weight decay for normalisation layers and biases
    c.TRAIN.AMP = "off"  # bf16 (GPU or CPU) or fp16 (GPU): networks in 16 bits while training; evaluation in float32
    c.TRAIN.MAX_NONFINITE = 3  # steps in a row that are skipped as loss or gradient is NaN or inf; then the run ends
    c.TRAIN.SCHEDULE = "step"  # step, cosine, constant
    c.TRAIN.LR_STEP = [20, 25]  # epochs after which the rate falls (step)
    c.TRAIN.LR_FACTOR = 0.1  # by this factor (step)
    c.TRAIN.LR_END = 0.02  # last rate as a share of LR (cosine)
    c.TRAIN.WARMUP_STEPS = 0  # steps of linear warm-up of the rate
    c.TRAIN.WARM_EPOCH = 0  # first epochs on labelled images only; no unlabelled image is even loaded
    c.TRAIN.UNSUP_START = 0.0  # share of the other steps before the unlabelled losses start
    c.TRAIN.UNSUP_RAMP = 0.0  # share of those steps over which they rise to their full weight
    c.TRAIN.JOINT_FORWARD = True  # labelled and unlabelled images in one forward pass
    c.TRAIN.SYNC_BN = False  # several GPUs: BatchNorm over the images of all of them; slower, for small batches
    c.TRAIN.ALTERNATE = "epoch"  # cotrain.py: the students take turns per epoch or per step
    c.TRAIN.EVAL_INTERVAL = 1  # epochs between evaluations; the last epoch is always evaluated
    c.TRAIN.PROFILE = False  # log after each epoch where its seconds went; on a GPU that slows the run down
    c.TRAIN.PATIENCE = 0  # epochs without a better TEST.BEST after which the run ends; 0 = it never ends early
    c.TRAIN.DETERMINISTIC = False  # only operations that give the same bits each time, on a GPU too; slower
    c.TRAIN.COMPILE = False  # networks through torch.compile while training; for a GPU, needs a C++ compiler
    c.TRAIN.PRINT_FREQ = 50  # steps between log lines
    c.TRAIN.STOP_ON_COLLAPSE = False  # end the run when the pseudo-labels collapse, instead of a warning

    c.CHECKPOINT = Node()
    c.CHECKPOINT.KEEP = 2  # how many of the newest are kept: last.pth, last.previous.pth, last.previous_2.pth, ...
    c.CHECKPOINT.INTERVAL_STEPS = 1000  # steps between saves of last.pth within an epoch; 0 = at the end of epochs only

    c.WEIGHT = Node()
    c.WEIGHT.LOSS_POSE = 1.0  # supervised loss (flag --pose)
    c.WEIGHT.LOSS_CONS = 1.0  # easy-hard consistency (flag --cons)
    c.WEIGHT.LOSS_MIX = 0.0  # mix-up consistency (flag --mix)
    c.WEIGHT.LOSS_WORST = 0.0  # worst-case head; per heatmap pixel, as the others (flag --worst)
    c.LOSS = Node()
    c.LOSS.USE_KEYPOINT_WEIGHTS = False  # the skeleton's weight of each keypoint in the supervised loss

    c.USE_EMA = True  # cotrain, cotrain1, train_2p: teach with the EMA of a network, not the network (flag --ema)
    c.EMA_DECAY = 0.999
    c.REWEIGHT = False  # pseudo-label weights times PSEUDO.REWEIGHT_BY (flag --reweight)

    c.PSEUDO = Node()
    c.PSEUDO.TARGET = "heatmap"  # heatmap = the teacher's own, warped; redrawn = a clean Gaussian at its joint
    c.PSEUDO.MIN_SCORE = 0.0  # joints with a lower maximum are ignored
    # gmm = probability that the image is easy; soft = SoftMatch, per joint; agreement = of the two networks, per joint
    c.PSEUDO.REWEIGHT_BY = "gmm"
    # Keypoints that a picture shows twice (mirror, second camera): [[paw_top, paw_bottom], ...]; [[]] = none. The
    # labels tell how the places of both are related, and pseudo-labels take the peaks that fit.
    c.PSEUDO.MULTIVIEW_PAIRS = [[]]
    c.PSEUDO.MULTIVIEW_TOLERANCE = 0.03  # by which they may miss, as a share of the longer side of the crop
    c.PSEUDO.AGREEMENT_SIGMA = 1.0  # distance in heatmap pixels at which the weight has fallen to 0.61

    c.AUGMENT = Node()
    c.AUGMENT.LABELED = _affine(rotation_prob=0.6, half_body=0.3)
    c.AUGMENT.EASY = _affine(rotation_prob=0.6)
    c.AUGMENT.HARD = _affine(rotation_prob=0.8, flip=0.0)
    c.AUGMENT.LABELED.COLOR = 0.0
    c.AUGMENT.HARD.COLOR = 0.0  # strength of gain, bias and noise, 0 to 1
    c.AUGMENT.HARD.RAND_AUGMENT = 0  # colour operations per image, RandAugment-like
    c.AUGMENT.HARD.MAGNITUDE = 0.5  # their strength, 0 to 1
    # One hard view of each unlabelled image for each list; its operations in order. joint_cutout, adaptive_cutout,
    # joint_mask, joint_paste, cut_occlude, cutout, cutmix, rand_augment, by_difficulty (easy images: joint_mask, hard
    # ones: joint_paste)
    c.AUGMENT.HARD_VIEWS = [["joint_cutout"]]
    c.AUGMENT.CUTOUT = Node()
    c.AUGMENT.CUTOUT.JOINTS = 5  # joints hidden in each hard view; 0 = off
    c.AUGMENT.CUTOUT.HALF_SIZE = [10.0, 20.0]  # pixels of a 256x192 crop
    c.AUGMENT.CUTOUT.JITTER = 10.0  # standard deviation around the joint, pixels of a 256x192 crop
    c.AUGMENT.MASK_JOINTS = [4, 5]  # joint_mask: fewest and most joints hidden, in boxes like CUTOUT's
    c.AUGMENT.EASY_MASK = "fixed"  # by_difficulty masks easy images: fixed = joint_mask, adaptive = adaptive_cutout
    c.AUGMENT.PASTE = Node()  # joint_paste, cut_occlude
    c.AUGMENT.PASTE.JOINTS = 2
    c.AUGMENT.PASTE.HALF_SIZE = [18.0, 30.0]  # pixels of a 256x192 crop
    c.AUGMENT.BOXES = Node()  # cutout
    c.AUGMENT.BOXES.COUNT = 5
    c.AUGMENT.BOXES.HALF_SIZE = [10.0, 20.0]  # pixels of a 256x192 crop
    c.AUGMENT.CUTMIX = Node()
    c.AUGMENT.CUTMIX.COUNT = 1  # rectangles that cutmix takes from one other image
    c.AUGMENT.CUTMIX.AREA = [0.1, 0.3]  # share of the view that one of them covers
    c.AUGMENT.RAND_AUGMENT = Node()  # rand_augment as one of HARD_VIEWS; HARD.RAND_AUGMENT is for all of them
    c.AUGMENT.RAND_AUGMENT.OPERATIONS = 2
    c.AUGMENT.RAND_AUGMENT.MAGNITUDE = 0.5

    c.MIX = Node()
    c.MIX.WHERE = "input"  # input, or manifold = at a random early stage of the network
    c.MIX.LAMBDA = 0.355  # share of the first image
    c.MIX.BETA = 0.0  # above 0: the share is drawn from Beta(BETA, BETA) in each step

    c.WORST = Node()
    c.WORST.FORM = "mass"  # mass = bounded, spatial softmax; ground_false = as in RegDA
    c.WORST.ETA = 2.0  # weight of its labelled part
    c.WORST.LAMBDA_LOW = 0.0  # gradient reversal into the backbone: first factor
    c.WORST.LAMBDA_HIGH = 0.1  # and last
    c.WORST.ALPHA = 1.0  # steepness of the rise
    c.WORST.STEPS = 1000  # its length
    c.WORST.EASY_ONLY = True  # only pseudo-labels of easy images enter
    c.WORST.PSEUDO_HEAD = False  # with LOSS_WORST: pseudo-labels have their own head, the main one learns labels only

    c.TEST = Node()
    c.TEST.BATCH_SIZE = 64
    c.TEST.FLIP_TEST = False  # average with the mirrored image
    c.TEST.USE_GT_BBOX = True
    c.TEST.COCO_BBOX_FILE = ""  # detections, for USE_GT_BBOX False; relative to DATASET.ROOT
    c.TEST.BBOX_THRESHOLD = 0.0  # smallest score of a detection
    c.TEST.OKS_NMS = "hard"  # hard, soft, none
    c.TEST.OKS_THRESHOLD = 0.9
    c.TEST.METRICS = ["oks", "pck"]  # of sets whose source and format name none: see `metrics` in config/source_keys.py
    c.TEST.BEST = ""  # best.pth has the best of this metric (AP, PCKh, NAME/AP, ...); "" = the first set's first metric
    c.TEST.PCK_THRESHOLD = 0.1
    c.TEST.PIXELS = 0.0  # above 0: also the mean error (EPE) and the share within so many image pixels (PCK_px)
    c.TEST.PCK_NORM = "box"  # box (longer side), torso, head, head_size (as in PCKh), or two keypoints: "nose left_eye"
    c.TEST.NME_NORM = "box"  # of the metric nme: as PCK_NORM

    c.TRACKING = Node()
    c.TRACKING.WANDB = "auto"  # auto = online when logged in, else offline; online, offline, off
    c.TRACKING.PROJECT = "semipose"
    c.TRACKING.TENSORBOARD = True
    return c


def _affine(rotation_prob: float, flip: float = 0.5, half_body: float | None = None) -> Node:
    node = Node()
    node.ROTATION = 30.0  # standard deviation in degrees, clipped at two of them
    node.ROTATION_PROB = rotation_prob
    node.SCALE = 0.25  # standard deviation of the zoom
    node.SCALE_CLIP = 0.25  # largest change of the zoom
    node.FLIP = flip
    if half_body is not None:
        node.HALF_BODY = half_body
    return node
