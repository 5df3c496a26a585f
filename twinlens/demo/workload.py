"""The sample workload: a day of history, then life."""

from __future__ import annotations

import random
import threading
import urllib.error
from collections.abc import Callable

from twinlens.demo.agents import AgentTraffic, Conversation, Sent
from twinlens.demo.rest import Rest, now_ms
from twinlens.demo.training import TrainingRuns

HOUR_MS = 3_600_000


class Workload:
    """Sends the history, then one agent turn every other second and one training step twice a second."""

    def __init__(self, url: str) -> None:
        self._rest = Rest(url)
        self._traffic = AgentTraffic(url)
        self._runs = TrainingRuns(self._rest)
        self._random = random.Random(3)  # noqa: S311 - sample data
        self._stop = threading.Event()

    def empty(self) -> bool:
        """Whether the server has no traces yet."""
        found = self._rest.call("GET", "/api/twinlens/v1/projects/default/traces?limit=1")
        return not found["traces"]

    def history(self, conversations: int = 90, runs: int = 8) -> None:
        """A day of conversations with scores, and finished training runs."""
        rng, now = self._random, now_ms()
        sent: list[Sent] = []
        for _ in range(conversations):
            talk = self._traffic.conversation()
            # More towards now, so that the first chart has a shape.
            moment = now - int(24 * HOUR_MS * rng.random() ** 1.4) - 60_000
            while not talk.over:
                moment += rng.randrange(20_000, 90_000)
                sent.append(self._traffic.turn(talk, min(moment, now - 1_000) * 1_000_000))
        self._traffic.flush()
        for one in sent:
            if rng.random() < 0.4:
                self._judge(one)
        for index in range(runs):
            begun = now - (runs - index) * 2 * HOUR_MS
            training = self._runs.start(start_ms=begun, steps=rng.choice([150, 200, 200]))
            training.step_ms = 4_000
            while not training.over:
                training.advance(200, in_the_past=True)
            training.finish(begun + training.steps * training.step_ms)

    def live(self) -> None:
        """Keep going until ``stop``."""
        threads = [
            threading.Thread(target=self._repeat, args=(self._talk(), 2.0), daemon=True),
            threading.Thread(target=self._repeat, args=(self._train(), 0.5), daemon=True),
        ]
        for thread in threads:
            thread.start()

    def stop(self) -> None:
        """End the live part. What has not been sent is dropped: by now the server is gone."""
        self._stop.set()

    def _repeat(self, act: Callable[[], None], seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                act()
            except (urllib.error.URLError, OSError):  # the server is restarting or stopping
                self._stop.wait(1.0)

    def _talk(self) -> Callable[[], None]:
        talk: Conversation | None = None

        def act() -> None:
            nonlocal talk
            if talk is None or talk.over:
                talk = self._traffic.conversation()
            sent = self._traffic.turn(talk)
            self._traffic.flush()
            if self._random.random() < 0.5:
                self._judge(sent)

        return act

    def _train(self) -> Callable[[], None]:
        training = self._runs.start()

        def act() -> None:
            nonlocal training
            if training.over:
                training.finish()
                training = self._runs.start()
            training.advance()

        return act

    def _judge(self, sent: Sent) -> None:
        rng = self._random
        quality = round(min(1.0, max(0.0, rng.gauss(0.84 if sent.ok else 0.25, 0.1))), 2)
        self._rest.score(sent.trace_id, "helpfulness", quality)
        if rng.random() < 0.3:
            liked = sent.ok and rng.random() < 0.85
            comment = None if liked else "did not solve my problem"
            self._rest.score(sent.trace_id, "user-feedback", "thumbs-up" if liked else "thumbs-down", comment)
