"""Every key, once: its default, what is allowed, and a comment. A YAML file under `experiments/` sets what differs."""

from copy import deepcopy

from yacs.config import CfgNode

from semipose.config.key import Key
from semipose.config.lift_keys import LIFT_KEYS

KEYS = {
    "NAME": Key("run"),  # run name, in the tracker and as folder (flag --name)
    "OUTPUT_DIR": Key("output"),  # runs are written to OUTPUT_DIR/NAME (flag --output-dir)
    "SEED": Key(0, low=0, high=2**32 - 1),  # of networks, samplers and views (flag --seed)
    # "" = the first GPU if there is one; "cpu"; the number of a GPU, "0"; or several, "0,1": a process on each, with
    # BATCH_SIZE and WORKERS of its own (flag --gpus)
    "GPUS": Key(""),
    # loader processes of each side, labelled and unlabelled; 0 = no processes (flag --workers)
    "WORKERS": Key(4, low=0),
    # what is learned: pose = 2D keypoints in pictures; lift = 3D poses from 2D tracks (section LIFT, docs/lifting.md)
    "TASK": Key("pose", choices=("pose", "lift")),
    # supervised, pose_cons, pose_dual, mean_teacher; cotrain, cotrain1 and train_2p by their scripts; to lift:
    # supervised, back_projection, mean_teacher, train_2p, cotrain, cotrain1
    "ALGORITHM": Key("supervised"),
    # --- DATASET: what is read
    "DATASET.ROOT": Key("data/coco"),  # folder that the sets below are in
    # keypoints of the networks: coco, coco_wholebody, coco_aic, mpii, aic, crowdpose, lsp, jhmdb, ochuman, h36m,
    # mirror_mouse; or a file (.yaml as in skeletons/file.py, or the metainfo .py of MMPose), or the lines of such a
    # file right here: {keypoints: [...], sigmas: 0.05, links: [...]}
    "DATASET.SKELETON": Key("coco"),
    # A source is a set name (`train2017`), a path (COCO json, image folder, video), or a mapping with the keys of
    # config/source_keys.py, such as {format: aic, annotation: ..., images: ...}. All three SETs take one or a list.
    "DATASET.TRAIN_SET": Key("train2017"),
    "DATASET.TRAIN_IMAGES": Key(""),  # image folder of TRAIN_SET; "" = looked for in the usual places
    "DATASET.TRAIN_LEN": Key(0, low=0),  # labelled = the first N persons (bottom-up: pictures); 0 = all
    "DATASET.TRAIN_UNSUP_SET": Key([]),  # unlabelled sources; [] = all of TRAIN_SET
    "DATASET.TEST_SET": Key("val2017"),
    "DATASET.TEST_IMAGES": Key(""),  # image folder of TEST_SET; "" = looked for in the usual places
    # Folders outside the image folder that links among the images may lead to (dvc, git-annex, split folders), relative
    # to ROOT; other links are refused
    "DATASET.LINKS": Key([]),
    # Images of the pool that a validation set shows too: the same file, a copy, the same picture encoded or resized
    # anew, or a frame of the same video. leave_out = without them, refuse = the run ends. Labelled ones end it always.
    "DATASET.OVERLAP.POOL": Key("leave_out", choices=("leave_out", "refuse")),
    # frames of a video on each side of one that validation shows, left out too; also files of one scene that are
    # numbered next to it
    "DATASET.OVERLAP.GUARD": Key(5, low=0),
    # Sources of more images than this, and all of them if the validation sets have more, are compared by path and
    # content only, not as pictures; videos are compared whatever their length. 0 = no pictures.
    "DATASET.OVERLAP.PICTURES": Key(20000, low=0),
    "DATASET.CACHE": Key("none", choices=("none", "ram", "disk")),  # where decoded crops are kept
    "DATASET.CACHE_DIR": Key("data/cache"),  # for CACHE disk
    # Room for rotation and zooming out: a larger margin leaves less black at the borders of rotated views.
    "DATASET.CROP_MARGIN": Key(1.25, low=1),  # size of a stored crop in units of the input
    "DATASET.BOX_PADDING": Key(1.25, low=0.1),  # growth of the person box; not bottom-up
    "DATASET.MAX_BAD": Key(10, low=0),  # unreadable images that are skipped before the run stops
    # --- MODEL: the network and its heatmaps
    # resnet18/34/50/101/152, light_unet, light_unet_deep, hrnet_w32, hrnet_w48, or timm/NAME: a network of timm, such
    # as timm/tf_efficientnet_lite0, timm/convnext_tiny, timm/vit_small_patch14_dinov2
    "MODEL.BACKBONE": Key("resnet18"),
    # "" = from scratch; "imagenet" = the default weights of torchvision (its ResNets) or timm; the tag of other weights
    # that timm has for the network, such as fb_in22k for timm/convnext_tiny; or a local file (.pth, .safetensors):
    # weights of the backbone, or a pose checkpoint, of which neck and head are taken too (docs/checkpoints.md)
    "MODEL.PRETRAINED": Key(""),
    # the order of colours that a pose checkpoint of others was trained on; auto = as its authors' code has it
    "MODEL.PRETRAINED_COLORS": Key("auto", choices=("auto", "rgb", "bgr")),
    # Parts of every network that do not learn, BatchNorm statistics included: names of modules or parameters, which
    # stand for all that is in them, such as ["backbone.conv1", "backbone.bn1", "backbone.layer[12]"]
    "MODEL.FREEZE": Key([]),
    "MODEL.FREEZE_BN": Key(False),  # BatchNorm of the backbone keeps its pretrained statistics; its weights learn
    "MODEL.IMAGE_SIZE": Key([192, 256], low=1),  # width, height
    "MODEL.HEATMAP_SIZE": Key([0, 0], low=0),  # width, height; 0 = what the network makes; else it is checked
    # between backbone and head: auto, deconv (SimpleBaseline), pyramid (all levels joined at 1/4), none
    "MODEL.NECK": Key("auto", choices=("auto", "deconv", "pyramid", "join", "none")),
    # channels of a 3x3 convolution before the last layer of the head; 0 = none, as in the papers; -1 = 48 in light
    # U-nets and after a pyramid, else none
    "MODEL.HIDDEN": Key(-1, low=-1, high=4096),
    "MODEL.SIGMA": Key(2.0, low=0.1),  # of the Gaussian, heatmap pixels
    # What the network puts out for a keypoint. A heatmap: gaussian (float centre, DARK decoding), msra (as in papers),
    # udp. Something else: udp_offset (a disc and an offset), simcc (a bin for x and for y), integral (the mean of a
    # heatmap), regression and rle (x and y themselves). dekr is bottom-up: all instances of a whole picture at once.
    "MODEL.CODEC": Key("gaussian"),
    "MODEL.SIMCC.BINS": Key(2.0, low=0.1),  # for each pixel of the input
    "MODEL.SIMCC.AT_EDGES": Key(False),  # bin b is pixel b / BINS, as in MMPose; else bins share each pixel evenly
    "MODEL.SIMCC.SIGMA": Key(0.0, low=0),  # of its Gaussian, in bins; 0 = sqrt(BINS * side / 16), as MMPose sets it
    "MODEL.DEKR.JOINT_CHANNELS": Key(15, low=1),  # of its offset branch, for each keypoint
    "MODEL.DEKR.OFFSET_WEIGHT": Key(0.03, low=0),  # of the offset loss, against that of the heatmaps
    # found keypoints move to the peak of their heatmap nearby: standard deviation of what counts as near, in map
    # pixels; 0 = they stay where the offsets put them, as in the paper
    "MODEL.DEKR.SNAP": Key(0.0, low=0, high=10),
    # The second network of cotrain, cotrain1 and pose_dual, where it differs: "" and 0 = as the first
    "MODEL.SECOND.BACKBONE": Key(""),
    "MODEL.SECOND.NECK": Key(""),
    "MODEL.SECOND.PRETRAINED": Key(""),  # "none" = from scratch
    "MODEL.SECOND.INPUT_SIZE": Key([0, 0], low=0),  # width, height that the views are resized to for it
    "MODEL.CHANNELS_LAST": Key(True),  # memory format of networks and images; faster on CPU and tensor cores
    # --- TRAIN: steps, epochs, optimiser
    "TRAIN.BATCH_SIZE": Key(32, low=1),  # labelled images in a step, on each GPU
    "TRAIN.BATCH_SIZE_UNSUP": Key(32, low=1),  # unlabelled images in a step, on each GPU
    # An epoch is one pass over the unlabelled set (supervised: over the labelled one). Sequential co-training makes one
    # such pass for each network.
    "TRAIN.END_EPOCH": Key(30, low=1),
    "TRAIN.STEPS_PER_EPOCH": Key(0, low=0),  # 0 = one pass; else an epoch has this many steps
    "TRAIN.OPTIMIZER": Key("adam", choices=("adam", "adamw", "sgd")),
    "TRAIN.LR": Key(0.001, low=0),
    "TRAIN.WD": Key(0.0, low=0),  # weight decay
    "TRAIN.MOMENTUM": Key(0.9, low=0, high=1),  # for sgd
    "TRAIN.CLIP_NORM": Key(0.0, low=0),  # largest gradient norm, of all networks of a step together; 0 = off
    # With it WARMUP_STEPS counts updates; all other keys still count epochs or steps.
    "TRAIN.ACCUMULATE": Key(1, low=1),  # one update for the mean gradient of this many steps
    # Factors of LR and WD for parts of the networks, such as ["backbone lr=0.1", "*.bn* wd=0"]: a pattern as in
    # MODEL.FREEZE (also worst_head, pseudo_head); the first matching one counts; all else has factors of 1.
    "TRAIN.GROUPS": Key([]),
    "TRAIN.NO_DECAY_NORM": Key(False),  # no weight decay for normalisation layers and biases
    # Factor of LR from each layer of the backbone to the one before it (stages of a ResNet, blocks of a ViT); times
    # those of GROUPS. 1 = off; 0.65 to 0.9 when a pretrained ViT is trained.
    "TRAIN.LAYER_DECAY": Key(1.0, low=0.01, high=1),
    "TRAIN.AMP": Key("off"),  # bf16 (GPU or CPU), fp16 (GPU): networks in 16 bits while training; evaluation in float32
    # steps in a row that may be skipped because loss or gradient is NaN or inf; one more ends the run
    "TRAIN.MAX_NONFINITE": Key(3, low=0),
    "TRAIN.SCHEDULE": Key("step", choices=("step", "cosine", "constant")),
    "TRAIN.LR_STEP": Key([20, 25], low=0),  # epochs after which the rate falls (step)
    "TRAIN.LR_FACTOR": Key(0.1, low=0),  # by this factor (step)
    "TRAIN.LR_END": Key(0.02, low=0),  # last rate as a share of LR (cosine)
    "TRAIN.WARMUP_STEPS": Key(0, low=0),  # steps of linear warm-up of the rate
    "TRAIN.WARM_EPOCH": Key(0, low=0),  # first epochs on labelled images only; no unlabelled image is even loaded
    "TRAIN.UNSUP_START": Key(0.0, low=0, high=1),  # share of the other steps before the unlabelled losses start
    "TRAIN.UNSUP_RAMP": Key(0.0, low=0, high=1),  # share of those steps over which they rise to their full weight
    "TRAIN.JOINT_FORWARD": Key(True),  # labelled and unlabelled images in one forward pass
    "TRAIN.SYNC_BN": Key(False),  # several GPUs: BatchNorm over the images of all of them; slower, for small batches
    # cotrain.py: the students take turns per epoch or per step
    "TRAIN.ALTERNATE": Key("epoch", choices=("epoch", "step")),
    "TRAIN.EVAL_INTERVAL": Key(1, low=1),  # epochs between evaluations; the last epoch is always evaluated
    "TRAIN.PROFILE": Key(False),  # log after each epoch where its seconds went; on a GPU that slows the run down
    # epochs without a better TEST.BEST after which the run ends; 0 = it never ends early
    "TRAIN.PATIENCE": Key(0, low=0),
    "TRAIN.DETERMINISTIC": Key(False),  # only operations that give the same bits each time, on a GPU too; slower
    "TRAIN.COMPILE": Key(False),  # networks through torch.compile while training; needs a C++ compiler
    "TRAIN.PRINT_FREQ": Key(50, low=1),  # steps between log lines
    "TRAIN.STOP_ON_COLLAPSE": Key(False),  # end the run when the pseudo-labels collapse, instead of a warning
    # --- CHECKPOINT: what is kept of a run
    # how many of the newest are kept: last.pth, last.previous.pth, last.previous_2.pth, ...
    "CHECKPOINT.KEEP": Key(2, low=1, high=100),
    # steps between saves of last.pth within an epoch; 0 = at the end of epochs only
    "CHECKPOINT.INTERVAL_STEPS": Key(1000, low=0),
    # --- WEIGHT, LOSS: what is learned from
    "WEIGHT.LOSS_POSE": Key(1.0, low=0),  # supervised loss (flag --pose)
    "WEIGHT.LOSS_CONS": Key(1.0, low=0),  # easy-hard consistency (flag --cons)
    "WEIGHT.LOSS_MIX": Key(0.0, low=0),  # mix-up consistency (flag --mix)
    "WEIGHT.LOSS_WORST": Key(0.0, low=0),  # worst-case head; per heatmap pixel, as the others (flag --worst)
    # to lift: where the root is in camera space; the other three are of unlabelled tracks (WEIGHT.LOSS_CONS too):
    # projections on the 2D input, bones as long as in the labels, left and right bones equal
    "WEIGHT.LOSS_TRAJECTORY": Key(1.0, low=0),
    "WEIGHT.LOSS_PROJECTION": Key(1.0, low=0),
    "WEIGHT.LOSS_BONES": Key(1.0, low=0),
    "WEIGHT.LOSS_SIDES": Key(1.0, low=0),
    "LOSS.USE_KEYPOINT_WEIGHTS": Key(False),  # the skeleton's weight of each keypoint in the supervised loss
    # --- LABELS: where labels may be wrong; not bottom-up
    "LABELS.TRIM": Key(0.0, low=0, high=0.9),  # share of a batch's labelled keypoints, of the largest loss, not learned
    "LABELS.TRIM_EPOCH": Key(0, low=0),  # first epochs, in which all are
    # A label far from what all teachers of a step say loses weight, the surer they are, rising as unlabelled losses do:
    # distance at which the weight has fallen to 0.61, in parts of the longer side of the padded person box; 0 = off
    "LABELS.AGREEMENT": Key(0.0, low=0, high=1),
    # --- Teachers and pseudo-labels
    "USE_EMA": Key(True),  # cotrain, cotrain1, train_2p: teach with the EMA of a network, not the network (flag --ema)
    "EMA_DECAY": Key(0.999, low=0, high=1),  # (t+1)/(t+10) while less: to step 890 for 0.99, 8990 for 0.999
    "REWEIGHT": Key(False),  # pseudo-label weights times PSEUDO.REWEIGHT_BY (flag --reweight)
    # redrawn = the teacher's joint, encoded again; heatmap = its own heatmap, warped; auto = heatmap where there is one
    "PSEUDO.TARGET": Key("auto", choices=("auto", "heatmap", "redrawn")),
    "PSEUDO.MIN_SCORE": Key(0.0, low=0),  # joints with a lower maximum are ignored
    "PSEUDO.FLIP": Key(False),  # teachers look at the easy view and its mirror image, and the mean of both counts
    # two networks: the mean of both teachers teaches both students, instead of each the other one
    "PSEUDO.ENSEMBLE": Key(False),
    # Bottom-up: instances of this score (mean over the joints) are learned; those below, down to IGNORE_SCORE, are
    # neither learned nor taken for background.
    "PSEUDO.INSTANCE_SCORE": Key(0.4, low=0, high=1),
    "PSEUDO.IGNORE_SCORE": Key(0.1, low=0, high=1),
    # gmm = probability that the image is easy; soft = SoftMatch, per joint; agreement = of the two networks, per joint
    "PSEUDO.REWEIGHT_BY": Key("gmm"),
    # Keypoints that a picture shows twice (mirror, second camera): [[paw_top, paw_bottom], ...]; [[]] = none. The
    # labels tell how the places of both are related, and pseudo-labels take the peaks that fit.
    "PSEUDO.MULTIVIEW_PAIRS": Key([[]]),
    # error that is allowed, as a share of the longer side of the crop
    "PSEUDO.MULTIVIEW_TOLERANCE": Key(0.03, low=1e-4, high=1),
    # Pools of videos or of frames with their numbers: what a teacher said about other frames. weight = a joint that
    # jumps against the frames before and after loses weight; track = steady motion chooses among the peaks of the
    # heatmaps of all frames, and pseudo-labels take the peak that fits (needs a codec with maps). Loose pictures stay
    # as they are. Not bottom-up.
    "PSEUDO.TEMPORAL": Key("none", choices=("none", "weight", "track")),
    # jump, or distance from an even motion, at which the weight is 0.61, as a share of the longer side of the box
    "PSEUDO.TEMPORAL_TOLERANCE": Key(0.03, low=1e-4, high=1),
    "PSEUDO.TEMPORAL_GAP": Key(5, low=1),  # largest difference of the numbers of two frames that are neighbours
    # A joint that is farther from what principal components of the labelled poses can make than labelled ones are loses
    # weight. The share of the variance that the components keep, such as 0.99; 0 = off. Not bottom-up.
    "PSEUDO.PCA": Key(0.0, low=0, high=1),
    "PSEUDO.AGREEMENT_SIGMA": Key(1.0, low=0.01),  # distance in heatmap pixels at which the weight has fallen to 0.61
    # --- AUGMENT: views
    # The views: standard deviation of the turn in degrees, clipped at twice that, and the share of images turned;
    # standard deviation and largest change of the zoom; largest shift each way, in shorter sides; share of images
    # mirrored; of persons cut in half.
    "AUGMENT.LABELED.ROTATION": Key(30.0, low=0, high=180),
    "AUGMENT.LABELED.ROTATION_PROB": Key(0.6, low=0, high=1),
    "AUGMENT.LABELED.SCALE": Key(0.25, low=0),
    "AUGMENT.LABELED.SCALE_CLIP": Key(0.25, low=0, high=0.95),
    "AUGMENT.LABELED.TRANSLATE": Key(0.0, low=0, high=1),
    "AUGMENT.LABELED.FLIP": Key(0.5, low=0, high=1),
    "AUGMENT.LABELED.HALF_BODY": Key(0.3, low=0, high=1),  # not bottom-up
    "AUGMENT.LABELED.COLOR": Key(0.0, low=0, high=1),  # as HARD.COLOR
    "AUGMENT.EASY.ROTATION": Key(30.0, low=0, high=180),
    "AUGMENT.EASY.ROTATION_PROB": Key(0.6, low=0, high=1),
    "AUGMENT.EASY.SCALE": Key(0.25, low=0),
    "AUGMENT.EASY.SCALE_CLIP": Key(0.25, low=0, high=0.95),
    "AUGMENT.EASY.TRANSLATE": Key(0.0, low=0, high=1),
    "AUGMENT.EASY.FLIP": Key(0.5, low=0, high=1),
    "AUGMENT.HARD.ROTATION": Key(30.0, low=0, high=180),
    "AUGMENT.HARD.ROTATION_PROB": Key(0.8, low=0, high=1),
    "AUGMENT.HARD.SCALE": Key(0.25, low=0),
    "AUGMENT.HARD.SCALE_CLIP": Key(0.25, low=0, high=0.95),
    "AUGMENT.HARD.TRANSLATE": Key(0.0, low=0, high=1),
    "AUGMENT.HARD.FLIP": Key(0.0, low=0, high=1),
    "AUGMENT.HARD.COLOR": Key(0.0, low=0, high=1),  # strength of gain, bias and noise
    "AUGMENT.HARD.RAND_AUGMENT": Key(0, low=0),  # colour operations per image, RandAugment-like
    "AUGMENT.HARD.MAGNITUDE": Key(0.5, low=0, high=1),  # their strength
    # One hard view of each unlabelled image for each list; its operations in order. joint_cutout, adaptive_cutout,
    # joint_mask, joint_paste, cut_occlude, cutout, cutmix, rand_augment, by_difficulty (easy images: joint_mask, hard
    # ones: joint_paste)
    "AUGMENT.HARD_VIEWS": Key([["joint_cutout"]]),
    "AUGMENT.CUTOUT.JOINTS": Key(5, low=0),  # joints hidden in each hard view; 0 = off
    "AUGMENT.CUTOUT.HALF_SIZE": Key([10.0, 20.0], low=0),  # pixels of a 256x192 crop
    "AUGMENT.CUTOUT.JITTER": Key(10.0, low=0),  # standard deviation around the joint, pixels of a 256x192 crop
    "AUGMENT.MASK_JOINTS": Key([4, 5], low=0),  # joint_mask: fewest and most joints hidden, in boxes like CUTOUT's
    # by_difficulty masks easy images: fixed = joint_mask, adaptive = adaptive_cutout
    "AUGMENT.EASY_MASK": Key("fixed", choices=("fixed", "adaptive")),
    "AUGMENT.PASTE.JOINTS": Key(2, low=0),  # joint_paste, cut_occlude
    "AUGMENT.PASTE.HALF_SIZE": Key([18.0, 30.0], low=0),  # pixels of a 256x192 crop
    "AUGMENT.BOXES.COUNT": Key(5, low=0),  # cutout
    "AUGMENT.BOXES.HALF_SIZE": Key([10.0, 20.0], low=0),  # pixels of a 256x192 crop
    "AUGMENT.CUTMIX.COUNT": Key(1, low=0),  # rectangles that cutmix takes from one other image
    "AUGMENT.CUTMIX.AREA": Key([0.1, 0.3], low=0, high=1),  # share of the view that one of them covers
    # rand_augment as one of HARD_VIEWS; HARD.RAND_AUGMENT is for all of them
    "AUGMENT.RAND_AUGMENT.OPERATIONS": Key(2, low=0),
    "AUGMENT.RAND_AUGMENT.MAGNITUDE": Key(0.5, low=0, high=1),
    # --- MIX, WORST: parts of the method
    # input, or manifold = at a random early stage of the network
    "MIX.WHERE": Key("input", choices=("input", "manifold")),
    "MIX.LAMBDA": Key(0.355, low=0, high=1),  # share of the first image
    "MIX.BETA": Key(0.0, low=0),  # above 0: the share is drawn from Beta(BETA, BETA) in each step
    # mass = bounded, spatial softmax; ground_false = as in RegDA
    "WORST.FORM": Key("mass", choices=("mass", "ground_false")),
    "WORST.ETA": Key(2.0, low=0),  # weight of its labelled part
    "WORST.LAMBDA_LOW": Key(0.0, low=0),  # gradient reversal into the backbone: first factor
    "WORST.LAMBDA_HIGH": Key(0.1, low=0),  # and last
    "WORST.ALPHA": Key(1.0, low=0),  # steepness of the rise
    "WORST.STEPS": Key(1000, low=1),  # its length
    "WORST.EASY_ONLY": Key(True),  # only pseudo-labels of easy images enter
    # with LOSS_WORST: pseudo-labels have their own head, the main one learns labels only
    "WORST.PSEUDO_HEAD": Key(False),
    # --- TEST: evaluation
    "TEST.BATCH_SIZE": Key(64, low=1),
    "TEST.FLIP_TEST": Key(False),  # average with the mirrored image
    # bottom-up: the pictures are looked at in these sizes, in units of the input, and what is found is put together
    "TEST.SCALES": Key([1.0], low=0.1, high=10),
    "TEST.USE_GT_BBOX": Key(True),
    "TEST.COCO_BBOX_FILE": Key(""),  # detections, for USE_GT_BBOX False; relative to DATASET.ROOT
    "TEST.BBOX_THRESHOLD": Key(0.0, low=0),  # smallest score of a detection
    # ids of the categories of COCO_BBOX_FILE that are persons; [] = those of the annotation that have keypoints
    "TEST.BBOX_CATEGORIES": Key([]),
    # hard drops duplicates; soft keeps the 20 per image that Soft-NMS chooses, with their own scores (HRNet, MMPose);
    # soft_rescored ranks them by the lowered scores. Bottom-up codecs drop duplicates themselves.
    "TEST.OKS_NMS": Key("hard", choices=("hard", "soft", "soft_rescored", "none")),
    "TEST.OKS_THRESHOLD": Key(0.9, low=0, high=1),
    "TEST.CATEGORY_AP": Key(False),  # also the AP of each category of a COCO file (AP_category_NAME)
    # for sets whose source and format name no metrics: see `metrics` in config/source_keys.py; [] = oks and pck, and
    # before them epe where the boxes are whole frames
    "TEST.METRICS": Key([]),
    # best.pth has the best of this metric (AP, PCKh, NAME/AP, ...); "" = the first set's first metric
    "TEST.BEST": Key(""),
    "TEST.PCK_THRESHOLD": Key(0.1, low=0),
    # above 0: also the mean error (EPE) and the share within this many image pixels (PCK_px)
    "TEST.PIXELS": Key(0.0, low=0),
    # box (longer side), torso, head, head_size (as in PCKh), or two keypoints: "nose left_eye"
    "TEST.PCK_NORM": Key("box"),
    "TEST.NME_NORM": Key("box"),  # of the metric nme: as PCK_NORM
    # --- TRACKING: where a run is recorded
    # auto = online when logged in, else offline
    "TRACKING.WANDB": Key("auto", choices=("auto", "online", "offline", "off")),
    "TRACKING.PROJECT": Key("semipose"),
    "TRACKING.TENSORBOARD": Key(True),
} | LIFT_KEYS


def default_config() -> CfgNode:
    """A fresh copy of the defaults."""
    config = CfgNode()
    for full, key in KEYS.items():
        *sections, name = full.split(".")
        node = config
        for section in sections:
            node = node.setdefault(section, CfgNode())
        node[name] = deepcopy(key.default)
    return config
