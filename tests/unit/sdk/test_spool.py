"""The disk spool: order, claims, limits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twinlens.sdk.spool import Spool


def test_parcels_leave_in_order_and_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "somewhere")
    for number in range(3):
        spool.put({"n": number}, b"\n%d\n" % number)
    first, second = spool.claim(), spool.claim()
    assert first and second
    assert (first.head, first.body) == ({"n": 0}, b"\n0\n")
    spool.back(first)
    spool.done(second)
    again = Spool(tmp_path, "somewhere").claim()
    assert again and again.head == {"n": 0}
    third = spool.claim()
    assert third and third.head == {"n": 2}
    assert spool.claim() is None


def test_destinations_do_not_mix(tmp_path: Path) -> None:
    Spool(tmp_path, "a").put({}, b"")
    assert Spool(tmp_path, "b").claim() is None


def test_claims_of_dead_processes_are_given_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a")
    path = spool.put({}, b"x")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.rename(f"{path}.claim-{dead.pid}")
    spool.tidy()
    assert spool.names() == [path.name]


def test_a_claim_of_an_earlier_process_with_our_number_is_given_back(tmp_path: Path) -> None:
    path = Spool(tmp_path, "a").put({}, b"x")
    path.rename(f"{path}.claim-{os.getpid()}")
    spool = Spool(tmp_path, "a")
    spool.tidy()
    assert spool.names() == [path.name]
    assert spool.claim() is not None
    spool.tidy()
    assert spool.names() == []  # ours is kept


def test_the_oldest_go_when_it_is_full_or_they_are_old(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a", max_bytes=250, max_age_s=1000)
    paths = [spool.put({}, b"x" * 100) for _ in range(3)]
    spool.tidy()
    assert spool.names() == [path.name for path in paths[1:]]
    os.utime(paths[1], (1, 1))
    spool.tidy()
    assert spool.names() == [paths[2].name]
    assert spool.dropped == 2


def test_damaged_parcels_are_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a")
    spool.put({}, b"x").write_bytes(b"not json\nx")
    assert spool.claim() is None
    assert spool.dropped == 1
    assert list(spool.folder.glob("*.parcel*")) == []
