"""The specifications of a folder, and what they say of a request and its reply.

Knows OpenAPI, by openapi-core, and what CAMARA adds in prose: no property that is not declared, an
echo of the correlator, one form for all errors, codes that are not exhaustive.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from openapi_core.validation.response.exceptions import DataValidationError
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from abonent.transport import Request, Response, Transport
from tests.camara.operator import ROOT

FILES = (
    "kyc-tenure/kyc-tenure.yaml",
    "number-recycling/number-recycling.yaml",
    "one-time-password-sms/one-time-password-sms.yaml",
    "number-verification/number-verification.yaml",
)
EXTENSIONS = {"ABONENT.NOT_HELD": 404}
"""Codes of this project that an operator may reply with, and their status."""


class Spec:
    """One API."""

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = yaml.safe_load(path.read_text())
        server = self.document["servers"][0]
        server["variables"]["apiRoot"]["default"] = ROOT
        self.prefix = server["url"].removeprefix("{apiRoot}")
        self.name = f"{self.document['info']['title']} {self.document['info']['version']}"
        self._openapi = OpenAPI.from_dict(self.document)

    def faults(self, request: Request, response: Response | None = None) -> list[str]:
        """What is wrong with a request, or with the reply to it."""
        asked = _mocked(request)
        try:
            with warnings.catch_warnings():
                # Nothing here judges tokens: openIdConnect is not a scheme that it supports.
                warnings.simplefilter("ignore")
                if response is None:
                    self._openapi.validate_request(asked)
                    return self._undeclared(request)
                return self._reply_faults(asked, request, response)
        except OpenAPIError as error:
            return [f"{error}: {error.__cause__ or ''}"]

    def _undeclared(self, request: Request) -> list[str]:
        operation = self.document["paths"][urlsplit(request.url).path.removeprefix(self.prefix)]
        content = operation[request.method.lower()]["requestBody"]["content"]
        schema = self.schema(content["application/json"]["schema"]["$ref"])
        extra = json.loads(request.body).keys() - schema["properties"].keys()
        return [f"it sends {name}, which the API does not know" for name in sorted(extra)]

    def _reply_faults(self, asked: MockRequest, request: Request, response: Response) -> list[str]:
        found: list[str] = []
        kind = response.headers.get("content-type", "")
        told = MockResponse(
            response.body, response.status, dict(response.headers), kind or "application/json"
        )
        if not self._is_free(request, response):
            try:
                self._openapi.validate_response(asked, told)
            except DataValidationError as error:
                found.append(f"{error}: {error.__cause__ or ''}")
        if response.status >= 400:
            found += _error_faults(response)
        correlator = request.headers.get("x-correlator")
        if correlator and response.headers.get("x-correlator") != correlator:
            found.append("it does not echo the correlator")
        return found

    def _is_free(self, request: Request, response: Response) -> bool:
        """A status that the file does not list, or a code of ours: held to the common form only."""
        path = urlsplit(request.url).path.removeprefix(self.prefix)
        listed = self.document["paths"][path][request.method.lower()]["responses"]
        if str(response.status) not in listed:
            return response.status >= 400
        return EXTENSIONS.get(_json(response).get("code")) == response.status

    def schema(self, pointer: str) -> dict[str, Any]:
        """The schema at a pointer, with or without a leading '#'."""
        found: Any = self.document
        for part in pointer.removeprefix("#").strip("/").split("/"):
            found = found[part]
        return found

    def complies(self, value: Any, pointer: str) -> bool:
        """Whether a value is what the schema at a pointer describes."""
        document = Resource.from_contents(self.document, default_specification=DRAFT4)
        registry: Any = Registry().with_resource("urn:spec", document)
        schema = {"$ref": f"urn:spec#/{pointer.removeprefix('#').strip('/')}"}
        checker = OAS30Validator.FORMAT_CHECKER
        return OAS30Validator(schema, registry=registry, format_checker=checker).is_valid(value)


class Specs:
    """All of them; `of` finds the one that a request is for."""

    def __init__(self, folder: Path) -> None:
        self.all = [Spec(folder / each) for each in FILES]

    def of(self, request: Request) -> Spec | None:
        path = urlsplit(request.url).path
        return next((each for each in self.all if path.startswith(f"{each.prefix}/")), None)

    def by_prefix(self, prefix: str) -> Spec:
        return next(each for each in self.all if prefix.startswith(each.prefix))


def _mocked(request: Request) -> MockRequest:
    parts = urlsplit(request.url)
    return MockRequest(
        f"{parts.scheme}://{parts.netloc}",
        request.method.lower(),
        parts.path,
        headers=dict(request.headers),
        data=request.body or None,
        content_type=request.headers.get("content-type", ""),
    )


def _json(response: Response) -> dict[str, Any]:
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error_faults(response: Response) -> list[str]:
    said = _json(response)
    if said.get("status") != response.status:
        return ["its body does not repeat the status"]
    if not all(isinstance(said.get(each), str) and said[each] for each in ("code", "message")):
        return ["its body lacks code or message"]
    return []


class Checked:
    """A transport in between: what passes is held to the specifications, both ways."""

    test_double = True

    def __init__(self, behind: Transport, specs: Specs) -> None:
        self._behind = behind
        self._specs = specs
        self.exchanges: list[tuple[str, int]] = []
        self.faults: list[str] = []

    def send(self, request: Request) -> Response:
        spec = self._specs.of(request)
        if spec is not None:
            self.faults += [f"{request.url}: {each}" for each in spec.faults(request)]
        response = self._behind.send(request)
        if spec is not None:
            self.exchanges.append((request.url, response.status))
            found = spec.faults(request, response)
            self.faults += [f"{request.url}, {response.status}: {each}" for each in found]
        return response
