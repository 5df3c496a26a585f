"""Jobs in the catalog, on both engines: what has ended stays so."""

from __future__ import annotations

import msgspec

from twinlens.domain.job import Job
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.jobs import JobTable, all_unfinished


def test_jobs(catalog: Catalog) -> None:
    job = Job(job_id="j", name="judge", params={"a": [1, "ü"]}, total=2, created_ns=1)
    with catalog.write() as c:
        table = JobTable(c, "p")
        table.add(job)
        table.add(msgspec.structs.replace(job, job_id="k", name="other", created_ns=2))
        JobTable(c, "q").add(job)
        assert table.get("j") == job
        assert all_unfinished(c)[-1] == ("p", "k")
        assert table.put(msgspec.structs.replace(job, status="CANCELED", result={"t": None}))
        assert not table.put(msgspec.structs.replace(job, status="RUNNING"))
        found = table.get("j")
        assert found is not None
        assert (found.status, found.result) == ("CANCELED", {"t": None})
        assert [each.job_id for each in table.all(None, None, 10)] == ["k", "j"]
        assert [each.job_id for each in table.all("judge", ["CANCELED"], 10)] == ["j"]
        assert table.all("judge", ["PENDING"], 10) == []
        assert sorted(all_unfinished(c)) == [("p", "k"), ("q", "j")]
