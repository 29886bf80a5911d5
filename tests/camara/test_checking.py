"""The checker names what does not comply. It needs none of the specifications: it has its own."""

from __future__ import annotations

import json

import pytest

from abonent.transport import Request, Response
from abonent.transport.http import HttpTransport
from tests.camara.operator import ROOT, CamaraOperator
from tests.camara.scenarios import Scenario, run
from tests.camara.serving import Serving
from tests.camara.site import Line, OwnSite
from tests.camara.specs import Checked, Spec, Specs

OWN = """
openapi: 3.0.3
info: {title: Own, version: 0.2.0}
servers: [{url: "{apiRoot}/kyc-tenure/v0.2", variables: {apiRoot: {default: "https://a"}}}]
paths:
  /check-tenure:
    post:
      parameters:
        - {in: header, name: x-correlator, schema: {type: string, pattern: "^[a-z0-9/-]*$"}}
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/Asked"}}}
      responses:
        "200":
          description: told
          content: {application/json: {schema: {$ref: "#/components/schemas/Told"}}}
        "404":
          description: not here
          content: {application/json: {schema: {$ref: "#/components/schemas/NotHere"}}}
components:
  schemas:
    Asked:
      type: object
      required: [tenureDate]
      properties:
        tenureDate: {type: string, format: date}
        phoneNumber: {type: string}
    Told:
      type: object
      required: [tenureDateCheck]
      properties: {tenureDateCheck: {type: boolean}}
    NotHere:
      type: object
      properties: {code: {type: string, enum: [IDENTIFIER_NOT_FOUND]}}
"""


@pytest.fixture
def specs(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    found = object.__new__(Specs)
    found.all = [Spec(path)]
    return found


def asked(body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", "x-correlator": "c"} | headers
    return Request(url=f"{ROOT}/kyc-tenure/v0.2/check-tenure", headers=given, body=content)


def told(status, body, **headers):
    given = {"content-type": "application/json", "x-correlator": "c"} | headers
    return Response(status=status, headers=given, body=json.dumps(body).encode())


GOOD = {"tenureDate": "2024-01-01", "phoneNumber": "+79161234567"}


def faults(specs, request, response=None):
    return specs.of(request).faults(request, response)


@pytest.mark.parametrize(
    "request_",
    [
        asked({**GOOD, "name": "somebody"}),
        asked({"phoneNumber": "+79161234567"}),
        asked({**GOOD, "tenureDate": "2024-13-01"}),
        asked(b""),
        asked(GOOD, **{"x-correlator": "C C"}),
        asked(GOOD, **{"content-type": "text/plain"}),
    ],
)
def test_a_request_that_does_not_comply_is_named(specs, request_):
    """Undeclared, missing or malformed: each is said."""
    assert faults(specs, request_)
    assert [] == faults(specs, asked(GOOD))


@pytest.mark.parametrize(
    "response",
    [
        told(200, {}),
        told(200, {"tenureDateCheck": "true"}),
        told(200, {"tenureDateCheck": True}, **{"x-correlator": "another"}),
        told(404, {"status": 404, "code": "SOMETHING", "message": "m"}),
        told(404, {"status": 400, "code": "IDENTIFIER_NOT_FOUND", "message": "m"}),
        told(503, {"status": 503, "code": "UNAVAILABLE"}),
        told(503, {"status": 503, "code": 7, "message": "m"}),
        told(503, []),
        told(201, {}),
        told(403, {"status": 403, "code": "ABONENT.NOT_HELD"}),
    ],
)
def test_a_reply_that_does_not_comply_is_named(specs, response):
    """A wrong body, status or code, and a correlator that is not echoed."""
    assert faults(specs, asked(GOOD), response)


@pytest.mark.parametrize(
    "response",
    [
        told(200, {"tenureDateCheck": True}),
        told(404, {"status": 404, "code": "IDENTIFIER_NOT_FOUND", "message": "m"}),
        told(404, {"status": 404, "code": "ABONENT.NOT_HELD", "message": "m"}),
        told(503, {"status": 503, "code": "ANYTHING", "message": "m"}),
    ],
)
def test_a_reply_that_complies_is_not_named(specs, response):
    """Errors that a file does not list keep to the common form; our own code is known."""
    assert [] == faults(specs, asked(GOOD), response)


def test_what_passes_through_is_checked_both_ways(specs):
    """A transport in between gathers what is wrong, and hands everything on."""
    checked = Checked(CamaraOperator(), specs)
    checked.send(asked({"nonsense": True}))
    assert [(f"{ROOT}/kyc-tenure/v0.2/check-tenure", 401)] == checked.exchanges
    assert 1 == len(checked.faults)
    checked.send(Request(url=f"{ROOT}/token"))
    assert 1 == len(checked.exchanges)


BACKGROUND = (
    'the resource "/kyc-tenure/v0.2/check-tenure"',
    'the header "Content-Type" is set to "application/json"',
    'the header "Authorization" is set to a valid access token',
    'the header "x-correlator" complies with the schema at "#/a"',
)
SEND = 'the HTTP "POST" request is sent'


def played(specs, *steps, site=None, tag="tag"):
    operator = CamaraOperator()
    scenario = Scenario("own", tag, "own", (*BACKGROUND, *steps))
    return run(scenario, site or OwnSite(operator, operator, ROOT), specs)


def test_a_scenario_goes_well_or_is_named(specs):
    """What was to come, and what came."""
    well = played(specs, SEND, "the response status code is 200")
    assert (None, None, 200) == (well.wrong, well.not_run, well.response.status)
    wrong = played(specs, SEND, "the response status code is 404")
    assert "the status should be 404; it was 200 " == wrong.wrong


@pytest.mark.parametrize(
    "steps",
    [
        ("something that nobody has written a step for", SEND),
        (SEND, 'the response property "$.tenureDateCheck" is false'),
        (SEND, 'the response property "$.message" contains a user friendly text'),
        (SEND, 'the response header "Content-Type" is "text/html"'),
        (
            SEND,
            'the response body complies with the OAS schema at "/components/schemas/NotHere"',
            'the response property "$.code" is "IDENTIFIER_NOT_FOUND"',
        ),
        (),
    ],
)
def test_what_is_not_understood_or_not_so_fails(specs, steps):
    """A step that is not known, a property that is another, and a scenario that sends nothing."""
    assert played(specs, *steps).wrong


def test_what_a_site_lacks_is_listed(specs):
    """It is neither well nor wrong."""
    operator = CamaraOperator()
    site = OwnSite(operator, operator, ROOT)
    number = site.number
    site.number = lambda line: None if line is Line.NOT_APPLICABLE else number(line)
    step = (
        "a valid phone number, identified by the token or provided in the request body, for which "
        "the service is not applicable"
    )
    lacking = played(specs, step, SEND, site=site)
    assert "the site has not a number for which the service is not applicable" == lacking.not_run
    assert lacking.wrong is None
    site = OwnSite(operator, operator, ROOT)
    site.token = lambda *_: None
    assert "the site has not" in played(specs, SEND, site=site).not_run


def test_a_scenario_that_is_to_leave_the_correlator_out_does(specs):
    """Its name says so, and no step."""
    tag = "success_scenario_without_x-correlator"
    assert played(specs, SEND, tag=tag).wrong
    left_out = played(specs, 'the header "Authorization" is set', SEND, tag=tag)
    assert left_out.wrong is None
    assert "x-correlator" not in left_out.request.headers


def test_an_operator_over_http_is_checked_by_the_same_code(specs):
    """All it takes is an address that answers."""
    operator = CamaraOperator()
    with Serving(operator) as server, HttpTransport() as transport:
        site = OwnSite(operator, transport, server.url)
        well = played(specs, SEND, "the response status code is 200", site=site)
    assert (None, 200) == (well.wrong, well.response.status)
