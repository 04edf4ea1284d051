"""What a port gets wrong: the choices that each framework spells in its own way, and has its own defaults for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of one training beside its hyper-parameters.

    Attributes:
        norm_epsilon: added to the variance in the layer norm.
        statistics_kept: share of the running statistics of the batch norm that a step keeps; PyTorch calls 1 - this momentum.
        tanh_gelu: whether GELU is approximated with a tanh.
        output_bias: whether the last layer has a bias.
        padding: rows and columns of zeros before and after the images of the second convolution.
        channels_first: whether the first dense layer takes channels before places.
        gain: times the initial kernel of the first dense layer.
        transposed: whether the square kernel of the second dense layer is loaded transposed.
        dropout_in_evaluation: whether dropout stays on.
        decay_norms: whether norms and biases decay, too.
        decoupled: whether weights decay beside the gradient, as in AdamW, or through it.
        optimizer_epsilon: added to the root of the second moment; Keras adds it before that is corrected, which 1e-8 would show.
        schedule_offset: steps that the schedule of the learning rate is ahead.
        reduction: of the loss over a batch.
        pixel_scale: of images from 0 to 1.
        shuffle: the seed of the batches is that of the training plus this.
    """

    norm_epsilon: float = 1e-5
    statistics_kept: float = 0.9
    tanh_gelu: bool = False
    output_bias: bool = True
    padding: tuple[int, int] = (1, 1)
    channels_first: bool = False
    gain: float = 1.0
    transposed: bool = False
    dropout_in_evaluation: bool = False
    decay_norms: bool = False
    decoupled: bool = True
    optimizer_epsilon: float = 1e-10
    schedule_offset: int = 0
    reduction: Literal["mean", "sum"] = "mean"
    pixel_scale: float = 1.0
    shuffle: int = 0
