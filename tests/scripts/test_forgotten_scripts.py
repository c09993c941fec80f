"""A server may forget its scripts at any moment: after a SCRIPT FLUSH, a restart, a failover."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
import redis

from redisjobs.operations import membership, one_job
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.operation import join
from redisjobs.operations.settle import Settlement, settle
from redisjobs.operations.sweep import sweep
from redisjobs.states import Status
from tests.scripts.bench import Bench
from tests.servers import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.operations.operation import Operation
    from tests.conftest import OwnServer


T = TypeVar("T")


class ForgetfulBench(Bench):
    """A queue on a server of its own that forgets its scripts before each operation."""

    def run(self, operation: Operation[T]) -> T:
        self.client.script_flush()
        return super().run(operation)


@pytest.fixture(params=list(KINDS))
def bench(
    request: pytest.FixtureRequest, own_server: OwnServer, queue_name: str
) -> Iterator[Bench]:
    with redis.Redis.from_url(own_server(request.param).url) as client:
        made = ForgetfulBench(client, queue_name)
        made.register("w")
        yield made
        made.close()


def test_every_operation_survives_it(bench: Bench) -> None:
    first, second, third, fourth = bench.enqueue(number=4)
    one, two, three, _ = bench.take()
    assert bench.settle(one) == []
    assert bench.settle(two, letter=b"F") == []
    bench.release(three)
    bench.beat()
    assert bench.reap().moved == 1
    assert bench.waiting() == [fourth, third]
    assert bench.run(one_job.retry(bench.keys, second))
    assert bench.run(one_job.cancel(bench.keys, third))
    assert bench.run(one_job.delete(bench.keys, fourth))
    assert bench.get(first) is not None
    bench.register("v", retention_us=0)
    assert bench.run(sweep(bench.keys, ["email"])) == 1
    assert bench.run(membership.unregister(bench.keys, "v")) == 0
    assert bench.waiting() == [second]
    assert bench.finished(Status.CANCELLED) == [third]
    assert bench.stored_ids() == {second, third}


class TestASettleAndAClaimInOneRoundTrip:
    """Only what the server did not know is sent again; what ran already does not run twice."""

    def together(self, bench: Bench, delivery: str) -> list[str]:
        outcome = Settlement(delivery, "email", b"D", 1, 0, b"")
        request = ClaimRequest("w", ["email"], 1, 1, 3, 4)
        both = join(settle(bench.keys, "w", [outcome]), claim(bench.keys, request))
        refused, claimed = Bench.run(bench, both)
        assert refused == []
        return [f"{claimed.token}:{one.id}" for one in claimed.claims]

    @pytest.mark.parametrize("known", ["", "claim", "settle"])
    def test_each_of_them_runs_once(self, bench: Bench, known: str) -> None:
        ids = bench.enqueue(number=3)
        (running,) = bench.take(limit=1)
        bench.client.script_flush()
        if known == "claim":
            Bench.run(bench, claim(bench.keys, ClaimRequest("w", ["email"], 0, 0, 3, 4)))
        elif known == "settle":
            stranger = Settlement("0:nobody", "email", b"D", 1, 0, b"")
            Bench.run(bench, settle(bench.keys, "w", [stranger]))
        taken = self.together(bench, running)
        assert [delivery.partition(":")[2] for delivery in taken] == ids[1:2]
        assert bench.held() == taken
        assert bench.finished(Status.DONE) == ids[:1]
        assert bench.waiting() == ids[2:]
        assert bench.totals() == {"done:email": 1}
