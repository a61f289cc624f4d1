"""What the levels of the part `decoder` mean for an alarm: by the scene, by the preset, or not at all.

Next: tvad/detector.py
"""

from heatmap.levels import Alarms
from tvad.presets.base import Preset
from tvad.scene import Scene, SceneError
from tvad.settings import Settings
from tvad.tower_part import about_tower


def decoder_alarms(settings: Settings, scene: Scene | None, preset: Preset) -> Alarms | None:
    """What the levels of the part `decoder` mean, None where it is not used. ValueError for a preset, SceneError for a
    tower where that was not measured, or with another tower or other words."""
    if "decoder" not in settings.parts:
        return None
    wanted = about_tower(settings.tower, settings.anomaly, settings.normal)
    noted = scene.about.get("tower") if scene else None
    own = scene.decoder_alarms if scene else None
    if wanted is None:
        found = (None if noted else own) or preset.decoder_alarms
        if found is None:
            raise ValueError(
                f"preset {preset.name!r} has no alarm levels for the part 'decoder'; measure them on this camera's "
                "ordinary footage (`tvad calibrate --parts memory,decoder,words`) or leave the part out (--parts)"
            )
        return found
    again = f"tvad calibrate NORMAL_VIDEOS... -o X.scene.safetensors --tower {settings.tower}"
    if noted is None or own is None:
        raise SceneError(
            f"nobody has measured what the levels of {settings.tower} mean on this camera; run: {again}, with the same "
            "--anomaly and --normal, and give that scene (--scene)"
        )
    if noted != wanted:
        what = "another model" if noted["model"] != wanted["model"] else f"the words {noted['anomaly'] or 'by default'}"
        raise SceneError(
            f"{settings.scene}: calibrated with {what}; what the levels of a tower mean differs from model to model "
            f"and from word to word; run: {again}, with the same --anomaly and --normal"
        )
    return own
