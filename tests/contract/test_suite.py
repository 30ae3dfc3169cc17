"""The suite over every channel, from its own folder alone."""

import pytest

from bailiwick.channels import registry
from bailiwick_lab.channel_suite import checks
from bailiwick_lab.channel_suite.cases import load
from bailiwick_lab.channel_suite.subject import Subject

CHECKS = checks.every()


@pytest.fixture(scope="module", params=registry.names())
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject(registry.channel(request.param), load(registry.folder(request.param)))


@pytest.mark.parametrize("name", CHECKS)
def test_check(name: str, subject: Subject) -> None:
    CHECKS[name](subject)
