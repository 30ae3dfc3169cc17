"""Ports that several processes would like at the same moment."""

import subprocess
import sys

from bailiwick_lab.servers.ports import claim, free_port

CLAIM = "import sys; from bailiwick_lab.servers.ports import claim; print(claim(int(sys.argv[1])))"


def claimed_elsewhere(port: int) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", CLAIM, str(port)], capture_output=True, text=True, check=True
    )
    return done.stdout == "True\n"


def test_a_port_is_claimed_by_one_process_until_it_ends() -> None:
    port = free_port()
    assert claimed_elsewhere(port)
    assert claimed_elsewhere(port), "whose process has ended"
    assert claim(port)
    assert claim(port), "it is ours already"
    assert not claimed_elsewhere(port)
