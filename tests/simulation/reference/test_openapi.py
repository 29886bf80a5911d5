"""What a reference operator says of itself is valid, complete and true."""

import re

from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Mount, Route

from abonent.simulation.reference.faults import CALLS, PLACES
from abonent.simulation.reference.operations import OPERATIONS
from tests.simulation.reference.asgi import ROOT


def test_the_description_is_valid(operator):
    """It is an OpenAPI 3.1 document."""
    assert [] == list(OpenAPIV31SpecValidator(operator.description).iter_errors())
    assert [{"url": ROOT}] == operator.description["servers"]


def test_every_address_is_described_and_no_other(operator):
    """The document names what the server routes, by path and method."""
    (mount,) = operator.http.app.routes
    assert isinstance(mount, Mount)
    routed = {
        (each.path, method.lower())
        for each in mount.routes
        if isinstance(each, Route)
        for method in each.methods - {"HEAD"}
    }
    described = {
        (path, method)
        for path, methods in operator.description["paths"].items()
        for method in methods
    }
    assert routed == described


def test_operations_have_names_of_their_own(operator):
    """No two have one id, and faults name each of those that are CAMARA's or ours."""
    paths = operator.description["paths"].values()
    ids = [each["operationId"] for methods in paths for each in methods.values()]
    assert len(ids) == len(set(ids))
    assert {each.id for each in OPERATIONS} == CALLS
    assert CALLS < PLACES.keys()


def test_every_schema_is_used(operator):
    """What is described is needed."""
    text = str(operator.description)
    used = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert used == operator.description["components"]["schemas"].keys()
