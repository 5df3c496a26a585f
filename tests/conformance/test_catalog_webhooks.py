"""Webhooks and deliveries in the catalog, on both engines: what is told, to whom, in which order, for how long it is kept."""

from __future__ import annotations

import itertools

import pytest

from twinlens.domain.errors import NotFound
from twinlens.domain.webhook import Webhook
from twinlens.features.webhooks import Webhooks
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.webhooks import WebhookTable, all_waiting
from twinlens.store.secrets import Sealer


def test_events_reach_those_who_asked(catalog: Catalog) -> None:
    clock = itertools.count(1).__next__
    webhooks = Webhooks(catalog, Sealer("key"), anywhere=True, clock=clock)

    def make(project_id: str, name: str, events: list[str]) -> str:
        hook = Webhook(webhook_id="", name=name, url="http://localhost/x", events=events)
        return webhooks.create(project_id, hook, "secret").webhook_id

    asked = make("a", "asked", ["prompt.created", "prompt_tag.set", "prompt.created"])
    make("a", "other", ["registered_model.created"])
    make("b", "elsewhere", ["prompt.created"])
    off = make("a", "off", ["prompt.created"])
    webhooks.update("a", off, status="DISABLED")
    assert "secret" not in str(webhooks.get("a", asked).sealed)
    assert webhooks.get("a", asked).events == ["prompt.created", "prompt_tag.set"]
    with catalog.write() as c:
        for event in ("prompt.created", "prompt_tag.set", "prompt_tag.deleted", "prompt.created"):
            webhooks.fire(c, "a", event, {"name": "p"})
    with catalog.write() as c:
        webhooks.fire(c, "a", "prompt.created", {})
        c.rollback()  # what is undone is not told
    told = webhooks.deliveries("a", asked)
    assert [row.event for row in told] == ["prompt.created", "prompt_tag.set", "prompt.created"]
    assert webhooks.deliveries("a", off) == []
    with catalog.write() as c:
        table = WebhookTable(c, "a")
        assert all_waiting(c) == [("a", asked, told[-1].due_ns)]
        assert table.oldest(asked) == told[-1]
        for row in told:
            row.status = "done"
            table.put_delivery(row)
        assert all_waiting(c) == []
        table.prune(asked, 1)
    assert webhooks.deliveries("a", asked) == told[:1]
    with pytest.raises(NotFound):
        webhooks.redeliver("b", asked, told[0].delivery_id)
    webhooks.delete("a", asked)
    with catalog.read() as c:
        assert WebhookTable(c, "a").delivery(told[0].delivery_id) is None
