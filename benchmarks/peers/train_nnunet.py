"""nnU-Net, its configuration 2d, on background, core and border, turned back into objects as its authors do it.

Plans, network, augmentation, loss, optimiser and prediction are its own. The learning rate falls by its rule, with the
time that is used; batches to validate, of which it chooses nothing, are left out.
"""

import importlib.metadata
import json
import os

import numpy as np
import torch
from acvl_utils.instance_segmentation import instance_as_semantic_seg
from nnunetv2.experiment_planning import plan_and_preprocess_api
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import get_trainer_from_args
from program import processor_seconds, run, training_pairs
from skimage.io import imsave

DATASET = "Dataset001_Nuclei"
CPU = torch.device("cpu")
RULES = {"small_center_threshold": 5, "isolated_border_as_separate_instance_threshold": 5}
"""Pixels below which a core is no object, nor a border alone. These, and a border of 1 px, are its authors' example."""


def write_dataset(folder, images, labels):
    """Write images, and their classes, as nnU-Net reads them."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    to_classes = instance_as_semantic_seg.convert_instanceseg_to_semantic_patched
    for number, (image, truth) in enumerate(zip(images, labels, strict=True)):
        classes = to_classes(truth[None].astype(np.uint32), border_thickness=1)[0]
        imsave(folder / "imagesTr" / f"nuclei_{number:03d}_0000.png", image, check_contrast=False)
        imsave(folder / "labelsTr" / f"nuclei_{number:03d}.png", classes, check_contrast=False)
    names = {"background": 0, "core": 1, "border": 2}
    facts = {"channel_names": {"0": "fluorescence"}, "labels": names, "numTraining": len(images), "file_ending": ".png"}
    (folder / "dataset.json").write_text(json.dumps(facts))


def prepared(folder):
    """A trainer of all images, with its plans made and its network built."""
    for part in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{part}"] = str(folder / part)
    processes = "nnUNet_n_proc_DA"
    os.environ[processes] = "1"  # of planning, which refuses 0
    plan_and_preprocess_api.extract_fingerprints([1], num_processes=1)
    plan_and_preprocess_api.plan_experiments([1])
    plan_and_preprocess_api.preprocess([1], configurations=["2d"], num_processes=[1])
    os.environ[processes] = "0"  # augmentation in this process, so that its time counts
    trainer = get_trainer_from_args(DATASET, "2d", "all", device=CPU)
    trainer.num_epochs = 1
    trainer.on_train_start()
    return trainer


def train(folder, seconds):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - augmentation draws from it
    write_dataset(folder / "nnunet" / "raw" / DATASET, *training_pairs(folder))
    trainer = prepared(folder / "nnunet")
    trainer.network.train()
    began, updates = processor_seconds(), 0
    while (used := (processor_seconds() - began) / seconds) < 1:
        trainer.lr_scheduler.step(used)
        trainer.train_step(next(trainer.dataloader_train))
        updates += 1
    trainer.set_deep_supervision_enabled(False)
    predictor = nnUNetPredictor(device=CPU, perform_everything_on_device=False, allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network.eval(),
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        "nnUNetTrainer",
        trainer.inference_allowed_mirroring_axes,
    )

    def segment(image):
        classes = predictor.predict_single_npy_array(image[None, None].astype(np.float32), {"spacing": (999, 1, 1)})
        return instance_as_semantic_seg.convert_semantic_to_instanceseg(classes.astype(np.uint8), **RULES)[0]

    versions = {name: importlib.metadata.version(name) for name in ("nnunetv2", "torch")}
    return segment, {"updates": updates, "batch": trainer.batch_size, "versions": versions}


if __name__ == "__main__":
    run(train)
