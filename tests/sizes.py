"""How much the tests do: `make test` takes the small sizes, `make test-all` the full ones."""

from __future__ import annotations

import os


def size(small: int, full: int) -> int:
    """The one of the two that this run uses, by VLM_APP_TEST_SIZE (`small` or `full`)."""
    return {"small": small, "full": full}[os.environ.get("VLM_APP_TEST_SIZE", "small")]


REFUSED_SECONDS = size(30, 2)  # until it is said what is wrong with an image; on a busy machine it lasts
REFUSED_PAGE_SECONDS = size(30, 3)  # the same for a document
PEBBLE_SCENES = size(60, 1000)  # held-out scenes on which the built-in model is scored
FUZZED_ANSWERS = size(30, 2000)  # texts that hypothesis writes for each parser
TAUGHT_FAMILIES = size(6, 1000)  # families whose tiny checkpoint is taught until it repeats its examples
FIRST_ANSWER_SECONDS = size(60, 15)  # after the server is up; the small size allows for a busy machine
MANAGER_RUNS = size(25, 1500)  # random interleavings of users and faults, of 40 steps each
LEAK_ROUNDS = size(6, 20)  # of loading, asking and unloading
LEAK_WARM = size(2, 4)  # rounds before memory is compared
LEAK_BYTES = size(3_000_000, 1_000_000)  # that a round may add; the first ones find their places in memory
LEAK_WHOLE = bool(size(0, 1))  # whether a round takes all nine pairs of family and precision, or three
CROWD_SECONDS = size(3, 120)  # for which 32 users share three models
CROWD_ROUNDS = size(2, 4)  # into which that is cut
ESTIMATED_FAMILIES = size(3, 20)  # whose memory is estimated, and measured while they answer
PRECISION_SCENES = size(100, 1000)  # held-out scenes on which int8 and nf4 are compared with bf16
PRECISION_LOSS = size(5, 2)  # points: the most that the upper end of the loss's interval may be
VIDEO_RATE = size(5, 30)  # frames a second of the ten-minute videos
SCRUBBED = size(1000, 2900)  # frames of a video that are asked for one after the other
DOCUMENT_PAGES = size(60, 200)  # drawn one after the other, while memory is watched
OVERLAY_REGIONS = size(150, 500)  # on one picture, drawn and lit in the browser
OVERLAY_SIDE = size(1500, 4000)  # pixels of that picture's sides
OVERLAY_PAINT = size(5000, 1000)  # milliseconds until all of them are seen; small: on a busy machine
OVERLAY_HOVER = size(500, 50)  # milliseconds until one is lit
DETAIL_SCENES = size(1, 40)  # of 1,600 pixels, on which detail mode is compared with the plain question
ASKED_PAGES = size(8, 200)  # of one document, asked about one after the other
OCR_PAGES = ((8, 13, 18, 28), tuple(range(30)))[size(0, 1)]  # pages of benchmarks.ocr_pages that are read
OCR_MEMORY = bool(size(0, 1))  # whether RapidOCR's memory is measured against its estimate
WRITTEN_EXAMPLES = size(10, 500)  # that hypothesis writes in the words of each family
LABELLED_FAMILIES = size(7, 1000)  # whose training inputs are looked at token by token
TRAINED_FAMILIES = size(3, 1000)  # whose LoRA layers, padded batches and losses are looked at
DATASET_ROWS = size(2_000, 100_000)  # of one upload, while memory is watched
KILLED_IN_SCORING = bool(size(0, 1))  # whether the run of the whole way is killed in mid-scoring, too
EXPORTED_SIDE = size(800, 1600)  # pixels of the picture whose 500 regions are exported
PAGE_STEPS = size(4, 30)  # of the run that is started on the page, in a browser
TRAINING_MEASURED = bool(size(0, 1))  # whether training is timed against a plain TRL script
ENDING_SECONDS = size(6, 10)  # that running answers get when the app ends
IMAGE_WHOLE = size(0, 1)  # whether the Dockerfile's steps install everything anew, or take what is at hand
STARTED_PLACES = (("space",), ("laptop", "container", "space"))[size(0, 1)]  # beside ZeroGPU, each a server
ABORTED_UPLOADS = size(40, 200)  # of 0.3 MB each, after which the folder of uploads is looked at
TAUGHT_PASSED = size(1, 2)  # seeds of three with which Pebble has to learn what it is taught
TAUGHT_SCENES = size(60, 100)  # held-out scenes with what was taught
HEART_ROUNDS = size(6, 7)  # that a run takes through the examples of a new shape
HEART_REHEARSAL = size(300, 1500)  # scenes of what Pebble knows beside them
HEART_SCENES = size(40, 100)  # held-out scenes with hearts
HEART_F1 = size(50, 70)  # the least F1 in per cent; a model that was not taught has 0
HEART_OLD = size(10, 60)  # held-out scenes of what Pebble knew
HEART_FALL = size(25, 3)  # points that it may lose of that; the short run rehearses too little to keep all
WORD_STEPS = size(30, 113)  # of a run that teaches three corrections; the full size is what the app proposes
WORD_REHEARSAL = size(30, 360)  # scenes of what Pebble knows beside them
