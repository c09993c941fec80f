"""Records that several threads make at once, also with the msgpack that is pure Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading
sys.setswitchinterval(1e-6)
from redisjobs.job import Job
from redisjobs.record import decode_record, encode_job

wrong = []

def make(name):
    for number in range(1500):
        payload = f"{name}-{number}".encode()
        try:
            record = encode_job(Job("kind", payload, id="id"), 1, 1000).record
            if decode_record(record).payload != payload:
                wrong.append(payload)
        except Exception as err:
            wrong.append(err)

threads = [threading.Thread(target=make, args=(name,)) for name in "abcd"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(f"{len(wrong)} wrong, e.g. {wrong[0]!r}" if wrong else 0)
"""


@pytest.mark.parametrize("pure_python", ["", "1"])
def test_threads_do_not_mix_their_records(pure_python: str) -> None:
    environment = {**os.environ, "MSGPACK_PUREPYTHON": pure_python}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
