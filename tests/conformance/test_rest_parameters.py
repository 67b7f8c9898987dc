"""Every parameter of Twilio's reference is used, or known and ignored; none counts as unknown."""

from __future__ import annotations

import pytest

from holdfast.voice.api.app import RESOURCES
from holdfast.voice.api.resource import Operation
from tests.conformance.parameters import OF_AUDIO, PARAMETERS

OPERATIONS: dict[tuple[str, str], Operation] = {
    (method, resource.path): operation
    for resource in RESOURCES
    for method, operation in (("GET", resource.get), ("POST", resource.post), ("DELETE", resource.delete))
    if operation is not None
}
OF_OTHERS = {"/Accounts", "", "/SigningKeys", "/SigningKeys/{Sid}"}
"""The paths that the table omits: they have no parameters, or are other names of a path in it."""


@pytest.mark.parametrize(("method", "path"), PARAMETERS)
def test_the_parameters_of_an_operation_are_those_of_the_reference(method: str, path: str) -> None:
    operation = OPERATIONS[method, path]
    assert not operation.parameters & operation.ignored
    known = operation.parameters | operation.ignored
    missing = set(PARAMETERS[method, path].split()) - known
    assert not missing, f"{method} {path} would warn of {sorted(missing)}"
    if method == "GET":
        assert known == {*PARAMETERS[method, path].split(), *OF_AUDIO.get((method, path), "").split()}


def test_no_operation_with_parameters_is_left_out() -> None:
    with_parameters = {api for api, operation in OPERATIONS.items() if operation.parameters and api[1] not in OF_OTHERS}
    others = {api for api in with_parameters if api[1].startswith("/IncomingPhoneNumbers/")}
    assert with_parameters - others <= PARAMETERS.keys() | OF_AUDIO.keys()
