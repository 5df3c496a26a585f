"""Token counts: exact where the vocabulary is there, an estimate of known error where it is not, and no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.ingest import tokens

ROOT = Path(__file__).resolve().parents[3]

#: Kinds of text and the mean error that is promised for each in docs/conventions.md.
TEXTS = {
    "code": ([p.read_text() for p in sorted((ROOT / "twinlens" / "ingest").glob("*.py")) if p.stat().st_size > 500], 0.12),
    "json": ([p.read_text() for p in sorted((ROOT / "tests" / "fixtures" / "otlp").glob("hand_*[a-z0-9].json")) if "normalised" not in p.name], 0.15),
    "licence": ([(ROOT / "LICENSE").read_text()], 0.08),
    "conversation": (
        ["Can you help me plan a trip? I'd like to visit three cities in ten days, and I don't want to rent a car.",
         "Sure! Start in Lyon, take the train to Marseille, and end in Nice. Each ride takes less than three hours.",
         "The function fails when the list is empty. Add a check before you call max(), or pass default=0."], 0.15,
    ),
    "german": (["Das Wetter in Paris ist heute sonnig, und die Temperatur liegt bei zwanzig Grad. Morgen soll es regnen."], 0.2),
    "french": (["Il fait beau à Paris aujourd'hui et la température est de vingt degrés. Demain, il devrait pleuvoir."], 0.2),
    "russian": (["Сегодня в Париже солнечно, температура двадцать градусов. Завтра ожидается дождь, возьмите зонт."], 0.25),
    "chinese": (["今天巴黎天气晴朗,气温二十度。明天预计会下雨,请带伞。"], 0.25),
    "korean": (["안녕하세요, 오늘 파리의 날씨는 맑고 기온은 섭씨 이십 도입니다. 내일은 비가 올 것으로 예상됩니다."], 0.3),
    "hindi": (["आज पेरिस में मौसम धूप वाला है और तापमान बीस डिग्री सेल्सियस है। कल बारिश होने की संभावना है।"], 0.25),
}  # fmt: skip


@pytest.fixture(scope="module")
def bpe() -> Any:
    """The vocabularies (three seconds to load, so only where they are needed)."""
    return pytest.importorskip("bpe_openai._bindings", reason="extra 'tokens' is not installed")


@pytest.mark.parametrize("kind", TEXTS)
def test_the_estimate_errs_no_more_than_promised(kind: str, bpe: Any) -> None:
    texts, promised = TEXTS[kind]
    exact = bpe.tokenizer_for_encoding("o200k_base").count
    errors = [abs(tokens.estimate(t) - exact(t)) / exact(t) for t in texts]
    assert sum(errors) / len(errors) <= promised


def test_counts_are_exact_with_the_vocabulary(bpe: Any) -> None:
    assert tokens.count("hello world, this is a test", "gpt-4o-mini") == 7
    text = "Straßenbahnhaltestelle größer"
    assert tokens.count(text, "gpt-4o") == bpe.tokenizer_for_encoding("o200k_base").count(text)
    assert tokens.count(text, "gpt-4-turbo") == bpe.tokenizer_for_encoding("cl100k_base").count(text)
    assert tokens.count(text, "openai/gpt-3.5-turbo") == bpe.tokenizer_for_encoding("cl100k_base").count(text)


def test_long_texts_are_counted_in_part() -> None:
    text = "word " * 200_000
    assert tokens.count(text) == pytest.approx(200_000, rel=0.01)


@given(st.text(max_size=300))
def test_any_text_can_be_counted(text: str) -> None:
    assert tokens.estimate(text) >= (1 if text else 0)
    assert tokens.count(text) >= 0
    tokens.content(json.dumps(text))


def test_content_leaves_out_roles_ids_and_binary() -> None:
    payload = json.dumps([
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        {"role": "assistant", "tool_calls": [{"id": "call_123", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"role": "user", "parts": [{"type": "blob", "content": "aGk=", "mime_type": "image/png"}, {"type": "text", "content": "@@@langfuseMedia:type=x|id=y|source=z@@@"}]},
    ])  # fmt: skip
    found = tokens.content(payload)
    assert found.texts == ["look", "f", '{"a": 1}']
    assert (found.messages, found.masked) == (3, 0)


@pytest.mark.parametrize(
    "text",
    [
        "<REDACTED>",
        "[MASKED]",
        "***",
        "__REDACTED__",
        "REDACTED",
        "[Scrubbed due to 'password']",
        "[redacted by policy]",
        "█████",
    ],
)
def test_redaction_markers(text: str) -> None:
    assert tokens.is_masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "The text was redacted by me",
        "hidden gems of Paris",
        "x",
        "a private letter to you",
        "Filtered water is fine",
        "",
    ],
)
def test_prose_is_no_marker(text: str) -> None:
    assert not tokens.is_masked(text)
