"""What a preset says. Values only: nothing is loaded here."""

from dataclasses import dataclass
from pathlib import Path

from heatmap.levels import AlarmLevel, Alarms
from tvad.repos import Repo
from tvad.weights import Weight


@dataclass(frozen=True)
class Preset:
    """Names of models and words that belong together.

    vision: timm name of the encoder behind the heat. analysis: the weights an analysis needs.
    explain: the default way of answering; explain_weights: way of answering -> the further weights it needs: packages
    (tvad/weights.py), or repositories of a hub, pinned (tvad/repos.py).
    anomaly, normal: the words used when the user gives none.
    alarms: memory, heat, words, decoder, decoder heat, head -> how often ordinary footage of unknown cameras reaches a
    level; used without a scene. decoder: folder of the trained heat decoder. head: folder of the trained temporal head.
    backbone: family in tvad.lvlm.BACKBONES of a language model that looks at frames itself; "" for one that does not.
    """

    name: str
    summary: str
    runs_on: str
    vision: str
    analysis: tuple[Weight | Repo, ...]
    explain: str
    explain_weights: dict[str, tuple[Weight | Repo, ...]]
    anomaly: tuple[str, ...]
    normal: tuple[str, ...]
    alarms: dict[str, AlarmLevel]
    decoder: Path
    head: Path
    backbone: str = ""

    @property
    def decoder_alarms(self) -> Alarms | None:
        """Of the decoder, on ordinary footage of unknown cameras; None where that was not measured."""
        levels = [self.alarms.get(name) for name in ("decoder", "decoder heat")]
        return Alarms(*levels) if all(levels) else None  # type: ignore[arg-type]

    @property
    def weights(self) -> tuple[Weight | Repo, ...]:
        """All weights, those of the analysis first, each once."""
        every = [*self.analysis, *(w for needed in self.explain_weights.values() for w in needed)]
        return tuple(dict.fromkeys(every))

    def needed(self, explain: str) -> tuple[Weight | Repo, ...]:
        """The further weights of a way of answering; ValueError lists the ways this preset knows."""
        if explain not in self.explain_weights:
            known = list(self.explain_weights)
            raise ValueError(f"preset {self.name!r} cannot explain by {explain!r}; choose one of {known} (--explain)")
        return self.explain_weights[explain]
