"""The suite over every channel, from its own folder alone."""

import pytest

from bailiwick.channels import registry
from bailiwick_lab.channel_suite import checks
from bailiwick_lab.channel_suite.subject import Subject, subject

CHECKS = checks.every()


@pytest.fixture(scope="module", params=registry.names())
def it(request: pytest.FixtureRequest) -> Subject:
    return subject(registry.channel(request.param), registry.folder(request.param))


@pytest.mark.parametrize("name", CHECKS)
def test_check(name: str, it: Subject) -> None:
    CHECKS[name](it)
