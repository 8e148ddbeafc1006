"""The end of a run: the network that it ends with, and the settings of prediction that it fits to held-out images."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from biounet.data.patches import PatchSampler
from biounet.models.model_file import ModelCard, load_network, save_network
from biounet.training.finalise import (
    PREDICTION,
    STATISTICS,
    finalise,
    part,
    score_as_fitted,
    statistics_batches,
    with_statistics_of_images,
)
from biounet.training.starting_model import first_weights, keeps_fit
from biounet.training.validation import log_loss, predict

if TYPE_CHECKING:
    from biounet.training.run import TrainingRun

__all__ = ["CHANCE", "SHARES", "choose_share", "finish_model", "mean_network"]


SHARES = (0.25, 0.5, 0.75)
"""Shares of the trained weights in means with the weights that a run began with, which are tried at its end."""

CHANCE = 0.01
"""Part of the log loss of few held-out images that may be chance; chosen on four runs, see docs/models.md."""


def finish_model(run: "TrainingRun", source: PatchSampler, *, deadline: float) -> None:
    """Choose the network that a run ends with, fit its settings of prediction, and write both into the model file.

    Parameters
    ----------
    run : TrainingRun
        Its best network is in its folder. `result`, `share` and `calibration` become those of the model.
    source : PatchSampler
        Of the images to train on, for the statistics of batch normalisation.
    deadline : in seconds of the clock of the run
        When the search for rules stops.
    """
    path, show = run.folder / "model.safetensors", run.show_end
    net, card = load_network(path)
    net = net.to(run.fabric.device)
    if run.start is not None and not card.training["step"]:
        run.share = 0.0
    elif "share" in card.training:  # a run that had ended
        run.share = card.training["share"]
    elif run.start is not None and not run.start.plan(run.config, run.data.target).drawn:
        net, card = _nearer_to_start(run, net, card)
    if keeps_fit(run.start, run.data):
        run.result = score_as_fitted(net, card, run.validation)
        save_network(path, net, card, overwrite=True)
        return
    facts, probabilities = dict(card.training), None
    if statistics_batches(run.config):
        until = deadline - (run.result.finalising.needed if run.result else 0.0)
        options: dict[str, Any] = {"largest": run.data.largest, "go_on": lambda: run.clock() < until}
        measured = with_statistics_of_images(net, source, run.config, progress=part(show, *STATISTICS), **options)
        result = run.validate(measured, progress=part(show, *PREDICTION))
        if result.scores["score"] >= facts["scores"]["score"]:
            net, probabilities = measured, list(result.probabilities)
            facts |= {"scores": dict(result.scores), "statistics": "of unchanged images"}
        del result  # its arrays are released below
    run.result = run.result and run.result.without_arrays()
    if probabilities is None:
        probabilities = predict(net, run.validation, progress=part(show, *PREDICTION)).probabilities
    finalised = finalise(net, probabilities, run.validation, deadline=deadline, show=show)
    run.result, run.calibration = finalised.result, finalised.calibration
    save_network(path, net, card.model_copy(update={"training": facts, **finalised.settings}), overwrite=True)


def _nearer_to_start(run: "TrainingRun", net: nn.Module, card: ModelCard) -> tuple[nn.Module, ModelCard]:
    """The network whose weights are nearest to those that the run began with, of those about as good; and its card."""
    begun = copy.deepcopy(net)
    first_weights(begun, run.config, target=run.data.target)

    def loss(share: float) -> float:
        return log_loss(predict(mean_network(begun, net, share), run.validation).probabilities, run.validation)

    known = {1: card.training["scores"]["log_loss"]}
    run.share = share = choose_share({share: loss(share) for share in SHARES} | known)
    if share < 1:
        net = mean_network(begun, net, share)
        card = card.model_copy(update={"training": {**card.training, "scores": dict(run.validate(net).scores)}})
    return net, card.model_copy(update={"training": {**card.training, "share": share}})


def mean_network(begun: nn.Module, trained: nn.Module, share: float) -> nn.Module:
    """A network with a weighted mean of the weights of two others, and of their batch statistics.

    Parameters
    ----------
    begun, trained : Module
        Of the same architecture.
    share : in [0, 1]
        Of the weights of `trained`.

    Notes
    -----
    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (arXiv 2109.01903), equation 1.
    """
    mean = copy.deepcopy(trained)
    before = begun.state_dict()
    for name, weights in mean.state_dict().items():
        if weights.is_floating_point():
            weights.copy_(before[name].lerp(weights, share))
    return mean


def choose_share(losses: Mapping[float, float]) -> float:
    """The least share of the trained weights that is as good as the best one, but for chance.

    Parameters
    ----------
    losses : share -> log loss of the held-out images, which tells networks apart better than counts of objects do

    Examples
    --------
    Training has helped in the first case. In the second, differences may be chance:

    >>> choose_share({0.25: 0.74, 0.5: 0.65, 0.75: 0.53, 1: 0.50})
    1
    >>> choose_share({0.25: 0.333, 0.5: 0.332, 0.75: 0.332, 1: 0.335})
    0.25
    """
    return min(share for share, loss in losses.items() if loss <= min(losses.values()) * (1 + CHANCE))
