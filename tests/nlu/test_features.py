"""Features as numbers: the same that a plain count of strings finds, whatever stands in a message."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlu.features import Counted, Vocabulary, prepare
from nlu.words import all_concepts, find_concepts

TEXTS = ["楼道灯不亮 灯灯灯", "在吗", "", "电梯困人了快来，电梯里有老人", "\x00a\ud800😀😀"]
messages = st.lists(st.text(max_size=40) | st.sampled_from(TEXTS), min_size=1, max_size=5)


def counted_plainly(text: str) -> list[Counter[str]]:
    """Of the size, concepts and characters of a text, how often each stands there."""
    marked = f"\x02{text}\x03"
    concepts = [concept for _, _, concept in find_concepts(text)]
    each = sorted(set(concepts))
    pairs = ["+".join(pair) for pair in combinations(each, 2)] if len(each) <= 14 else []
    chars = [marked[at : at + length] for length in (1, 2, 3) for at in range(len(marked) - length + 1)]
    return [Counter(["size"]), Counter(concepts + pairs), Counter(chars)]


def blocks(counted: Counted) -> list[list[int]]:
    """How often the features of each block stand there, rarest first."""
    return [sorted(one.tolist()) for one in np.split(counted.counts, counted.borders[1:-1])]


def test_numbers_lose_their_value_and_keep_their_shape() -> None:
    assert prepare("给5分") == "给5分"
    assert prepare("等了20分钟") == prepare("等了45分钟")
    assert prepare("打13812345678") == prepare("打13987654321")


@given(messages)
def test_every_feature_is_counted_in_its_block(texts: list[str]) -> None:
    _, counted = Vocabulary.of(texts)
    assert blocks(counted) == [sorted(one.values()) for text in texts for one in counted_plainly(text)]


@given(messages)
def test_different_features_have_different_numbers(texts: list[str]) -> None:
    vocabulary, _ = Vocabulary.of(texts)
    plain = [counted_plainly(text) for text in texts]
    others = {
        name
        for _, concepts, chars in plain
        for name in (*(f"k:{one}" for one in concepts), *(f"c:{one}" for one in chars))
    }
    sizes = {sum(len(text) > step for step in (1, 2, 4, 6, 9, 13, 18, 25, 40, 80, 160)) for text in texts}
    assert len(vocabulary) == len(others) + len(sizes)


@given(messages, messages)
def test_what_is_not_in_the_vocabulary_is_not_counted(known: list[str], texts: list[str]) -> None:
    vocabulary, _ = Vocabulary.of(known)
    whole, together = Vocabulary.of([*known, *texts])
    places = vocabulary.keys.searchsorted(whole.keys).clip(max=len(vocabulary) - 1)
    wanted = together.of(np.arange(len(known), len(known) + len(texts))).only(
        np.where(vocabulary.keys[places] == whole.keys, places, -1)
    )
    found = vocabulary.count(texts)
    assert np.array_equal(found.features, wanted.features) and np.array_equal(found.counts, wanted.counts)
    assert np.array_equal(found.borders, wanted.borders)


def test_a_concept_the_model_does_not_know_is_passed_over() -> None:
    """The dictionary was edited and the model not trained yet."""
    vocabulary, _ = Vocabulary.of(TEXTS)
    assert any(find_concepts(text) for text in TEXTS)
    poor = Vocabulary(vocabulary.keys, tuple(f"not {one}" for one in all_concepts()))
    sizes = np.diff(poor.count(TEXTS).borders).reshape(-1, 3)
    assert sizes[:, 0].all() and not sizes[:, 1].any() and sizes[:, 2].all()


def test_each_block_is_as_long_as_its_weight() -> None:
    vocabulary, counted = Vocabulary.of(TEXTS)
    values = counted.values(np.linspace(1, 5, len(vocabulary), dtype=np.float32))
    lengths = np.array([np.linalg.norm(one) for one in np.split(values, counted.borders[1:-1])]).reshape(-1, 3)
    for text, told in zip(TEXTS, lengths, strict=True):
        assert np.allclose(told, [0.1, 0.5 if find_concepts(text) else 0.0, 1.0], atol=1e-6)
