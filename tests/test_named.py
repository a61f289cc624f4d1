"""What a head says of simulated events: names, probabilities, and how often they are right."""

import numpy as np
import pytest

from training.datasets.qa_words import DOINGS
from training.datasets.truth import ANOMALIES
from training.lvlm.begin import DONE
from training.lvlm.named import NAMED_FROM, SHIPPED, Told, knows, told_of
from training.lvlm.simulate import sample
from tvad.kinds import UNSPECIFIED
from tvad.lvlm.slots import ALIASES, DEEDS
from tvad.lvlm.view import shown_evidence


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_deeds_are_the_anomalies_and_all_have_words() -> None:
    assert DEEDS == ANOMALIES and set(DONE) == set(DEEDS) and set(ALIASES.values()) <= set(DEEDS)
    said = {name: f"{doing.one} {doing.many} {doing.read}".lower() for name, doing in DOINGS.items()}
    for name, words in DONE.items():
        assert any(word[:4] in said[name] for word in words.split()), name


def test_a_head_knows_ours_another_ones_or_none() -> None:
    drawn = [knows({"theft"}, rng(n), 0.5) for n in range(300)]
    shares = [np.mean([known == want for known in drawn]) for want in ((), SHIPPED)]
    assert shares[0] == pytest.approx(0.08, abs=0.04) and shares[1] == pytest.approx(0.42, abs=0.08)
    assert all("theft" in known for known in drawn if known not in ((), SHIPPED))
    assert all(knows({"theft"}, rng(n), 0.0) in ((), SHIPPED) for n in range(50))


def test_without_kinds_nothing_is_told() -> None:
    assert told_of({"fighting"}, (), rng()) == Told() and not Told().named


@pytest.mark.parametrize("known", [SHIPPED, ("cycling", "driving", "fighting", "theft")])
def test_probabilities_sum_to_one_and_name_what_is_likely(known: tuple[str, ...]) -> None:
    for n in range(100):
        told = told_of({"fighting"}, known, rng(n))
        shares = dict(told.probs)
        assert set(shares) == {"normal", *known} and sum(shares.values()) == pytest.approx(1, abs=1e-3)
        best = max(shares, key=lambda name: shares[name])
        named = best != "normal" and shares[best] >= NAMED_FROM
        assert told.name == (best if named else UNSPECIFIED)


def test_names_are_right_about_as_often_as_the_shipped_ones() -> None:
    def named(anomalies: set[str], name: str) -> float:
        return float(np.mean([told_of(anomalies, SHIPPED, rng(n)).name == name for n in range(600)]))

    assert 0.6 < named({"fighting"}, "fighting") < 0.85 and 0.65 < named({"falling"}, "falling") < 0.85
    assert 0.01 < named(set(), "fighting") < 0.13 and named(set(), "falling") < 0.05


def test_what_is_named_is_told_and_the_rest_behaves_unusually() -> None:
    told, silent = 0, 0
    for number in range(200):
        s = sample(21, number)
        events = shown_evidence(s.evidence, s.curves.sight).events
        names = {e.kind for e in events}
        for target in s.truth.anomalous:
            if target.anomaly in ("fighting", "falling"):
                assert target.anomaly in names
                told += 1
            silent += target.anomaly == "unnamed"
    assert told > 10 and silent > 10
