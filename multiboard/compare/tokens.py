"""What the name of a layer says, in whatever words a framework or an author writes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

_WORDS: Final[Mapping[str, str]] = {
    "dense": "dense linear fc lin einsumdense densegeneral lineargeneral",
    "conv": "conv conv1d conv2d conv3d convolution depthwiseconv depthwiseconv2d dwconv dconv",
    "convtranspose": "convtranspose deconv conv2dtranspose convtranspose2d upconv",
    "norm": "norm ln bn gn layernorm batchnorm batchnormalization layernormalization groupnorm rmsnorm rmsnormalization "
    "groupnormalization normalization instancenorm",
    "embed": "embed embedding embeddings emb",
    "lstm": "lstm rnnlstm",
    "gru": "gru",
    "attn": "attn att attention selfattn selfattention mha multiheadattention multiheaddotproductattention selfattentionlayer",
    "cross": "cross crossattn crossattention encoderattn encoderattention encdecattention multiheadattn encoderdecoderattention "
    "xattn",
    "query": "query q qproj toq wq queryproj queries qlin",
    "key": "key k kproj tok wk keyproj keys klin",
    "value": "value v vproj tov wv valueproj values vlin",
    "qkv": "qkv cattn inproj querykeyvalue wqkv qkvproj",
    "out": "out o outproj oproj toout wo attentionoutput outlin output",
    "block": "block blocks layer layers h resblock resblocks resnetblock bottleneck basicblock bottleneckresnetblock "
    "transformerblock",
    "stage": "stage stages",
    "encoder": "encoder enc src source",
    "decoder": "decoder dec tgt target",
    "position": "position wpe pos posembed positionembeddings posembedding positionalembedding positional positions "
    "posembeddings embedpositions",
    "token": "token wte tokens tokembeddings tokenembedding wordembeddings word tokembed embedtokens shared wordembedding",
    "head": "head lmhead classifier logits heads",
    "mlp": "mlp ffn feedforward ff mlpblock feedforwardnetwork positionwise",
    "down": "down downproj contracting",
    "up": "up upproj expanding",
    "gate": "gate gateproj gating router",
    "proj": "proj projection projector",
    "patch": "patch patchembed patchembeddings patches",
}
"""Words that mean one thing, by one of them."""
_CANONICAL: Final = {spelling: word for word, spellings in _WORDS.items() for spelling in spellings.split()}
_SILENT: Final = frozenset(
    {
        "model",
        "module",
        "modules",
        "net",
        "network",
        "transformer",
        "backbone",
        "params",
        "self",
        "base",
        "cell",
        "rnn",
        "vit",
        "bert",
    }
)
"""Words that say nothing of a layer."""
CLASS_WORDS: Final = frozenset(
    {"dense", "conv", "convtranspose", "norm", "embed", "lstm", "gru", "block", "item", "stage", "raw"}
)
"""Words that tell what a layer is, but not which one."""
PARTS: Final = frozenset({"query", "key", "value", "out", "qkv"})
"""Words of the layers of an attention."""
_PIECE: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_CLASS_IN_NAME: Final = re.compile(r"(?<=[a-zA-Z])([123])d(?![a-zA-Z])", re.IGNORECASE)


class Name(NamedTuple):
    """A name in canonical words, each with the number behind it, -1 for none.

    Attributes:
        words: from the outermost container to the layer.
        numbers: one per word.
    """

    words: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def told(self) -> frozenset[str]:
        """The words that say which layer it is."""
        return frozenset(self.words) - CLASS_WORDS

    @property
    def part(self) -> str:
        """Which layer of an attention it is; '' if it is none."""
        inner = next((word for word in reversed(self.words) if word in PARTS), "")
        within = {"attn", "cross"} & set(self.words)
        return inner if within or inner in {"query", "key", "value", "qkv"} else ""


def parse(path: str, kind: str = "") -> Name:
    """Return the name that a path is.

    Args:
        path: canonical, e.g. 'blocks/0/self_attn/q_proj'.
        kind: of the layer, 'dense' or 'conv'; takes the place of a name that is but a number.

    >>> parse("blocks/0/self_attn/q_proj") == parse("h_0/attention/query")
    True
    """
    found: list[tuple[str, int]] = []
    *holders, layer = path.split("/")
    for holder in holders:
        found += _component(holder, "", found)
    found += _component(layer, kind if holders else "", found)
    if kind and path.isdigit():
        found = [(kind, int(path))]
    kept = _once([(word, number) for word, number in found if word not in _SILENT or number >= 0])
    kept = kept or [(kind or "item", -1)]
    return Name(tuple(word for word, _ in kept), tuple(number for _, number in kept))


def _once(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return words without those that come again later, and without a mere 'dense' behind what tells more."""
    kept = [one for at, one in enumerate(found) if one[1] >= 0 or one[0] not in {word for word, _ in found[at + 1 :]}]
    while len(kept) > 1 and kept[-1] == ("dense", -1) and kept[-2][0] not in CLASS_WORDS:
        kept.pop()
    return kept


def _component(component: str, kind: str, before: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the words of a part of a path; a mere number counts the words before it."""
    if component.isdigit():
        if kind:
            return [(kind, int(component))]
        if before and before[-1][1] < 0:
            before[-1] = (before[-1][0], int(component))
            return []
        return [("item", int(component))]
    pieces = _PIECE.findall(_CLASS_IN_NAME.sub(r"", component))
    found: list[tuple[str, int]] = []
    run: list[str] = []
    for piece in [*pieces, ""]:
        if piece and not piece.isdigit():
            run.append(piece.lower())
            continue
        found += [(word, -1) for word in _phrase(run)]
        run = []
        if piece and found and found[-1][1] < 0:
            found[-1] = (found[-1][0], int(piece))
        elif piece:
            found.append(("item", int(piece)))
    return found


def _phrase(words: Sequence[str]) -> list[str]:
    """Return the canonical words of a few that stand together, the longest known ones first.

    >>> _phrase(["self", "attn", "layer", "norm"])
    ['attn', 'norm']
    """
    found: list[str] = []
    at = 0
    while at < len(words):
        for end in range(len(words), at, -1):
            joined = "".join(words[at:end])
            if joined in _CANONICAL:
                found.append(_CANONICAL[joined])
                at = end
                break
        else:
            found += _halves(words[at])
            at += 1
    return found


def _halves(word: str) -> list[str]:
    """Return the two known words that one is made of, such as 'encoderblock', or the word."""
    for cut in range(3, len(word) - 2):
        if word[:cut] in _CANONICAL and word[cut:] in _CANONICAL:
            return [_CANONICAL[word[:cut]], _CANONICAL[word[cut:]]]
    return [word]


def ranked(names: Iterable[tuple[Name, str]]) -> list[Name]:
    """Return names whose numbers count from 0 without gaps among those that differ in nothing else before them.

    Args:
        names: of the layers of one model, and their kinds: a number of the last word counts among layers of its kind.

    >>> [one.numbers for one in ranked([(parse("dense_5"), "dense"), (parse("dense_7"), "dense")])]
    [(0,), (1,)]
    """
    given = list(names)
    seen: dict[tuple[object, ...], set[int]] = {}
    for name, kind in given:
        for at in range(len(name.words)):
            seen.setdefault(_context(name, kind, at), set()).add(name.numbers[at])
    ranks = {context: {number: rank for rank, number in enumerate(sorted(numbers))} for context, numbers in seen.items()}
    return [
        Name(name.words, tuple(ranks[_context(name, kind, at)][name.numbers[at]] for at in range(len(name.words))))
        for name, kind in given
    ]


def _context(name: Name, kind: str, at: int) -> tuple[object, ...]:
    last = at == len(name.words) - 1
    return (*name.words[: at + 1], *name.numbers[:at], len(name.words) if last else 0, kind if last else "")


def likenesses(a: Sequence[tuple[str, ...]], b: Sequence[tuple[str, ...]]) -> npt.NDArray[np.float64]:
    """Return how much the words of names have in common, from 0 to 1, `[n, m]`; what tells the layer weighs most.

    >>> likenesses([("block", "attn")], [("encoder", "block", "attn"), ("block", "mlp")]).round(2).tolist()
    [[0.72, 0.23]]
    """
    shared = {word for words in a for word in words} & {word for words in b for word in words}
    column = {word: number for number, word in enumerate(sorted(shared))}
    tables = []
    for side in (a, b):
        table = np.zeros((len(side), len(column)))
        for row, words in enumerate(side):
            for word in shared.intersection(words):
                table[row, column[word]] = np.sqrt(_weight(word))
        tables.append(table)
    totals = [np.array([sum(map(_weight, sorted(set(words)))) for words in side]) for side in (a, b)]
    both: npt.NDArray[np.float64] = 2 * tables[0] @ tables[1].T
    both /= np.maximum(totals[0][:, None] + totals[1][None, :], 1e-9)
    return both


def _weight(word: str) -> float:
    return 0.3 if word in CLASS_WORDS else 1.0
