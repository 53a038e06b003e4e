"""The server described for programs, as OpenAPI, and for people, as a page that reads the same.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from serving.rest import components, schemas
from serving.rest.components import BYTES, INFERRED, JSON, LOOKED_UP, OURS, PARAMETERS, REFUSED, TEXT
from serving.rest.schemas import MOST_CATEGORIES, Schema, either
from staytrue import __version__
from staytrue.asking import Zeros, example_of
from staytrue.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from serving.description import Description
    from staytrue.signature import Signature, TensorSpec

CSV, HTML = "text/csv", "text/html"
_FILE = Path(__file__).with_name("static") / "docs.html"


def document(models: Sequence[Description], *, keys: bool, nan_policy: str = "reject") -> dict[str, Any]:
    """Every address of the inference port, with those of each model by its name.

    Args:
        models: the versions that answer where none is named.
        keys: whether callers need one.
        nan_policy: of the settings; says how numbers that are not finite are told.
    """
    made = _Document(keys=keys, nan_policy=nan_policy)
    for model in models:
        made.model(model, alone=len(models) == 1)
    made.server()
    parts: dict[str, Any] = {
        "schemas": made.schemas,
        "parameters": components.parameters(),
        "responses": components.responses(),
    }
    if keys:
        parts["securitySchemes"] = {
            "Bearer": {"type": "http", "scheme": "bearer"},
            "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        }
    return {
        "openapi": "3.1.1",
        "info": {"title": "Staytrue", "version": __version__},
        "tags": [{"name": "server"}, *made.tags],
        "paths": made.paths,
        "components": parts,
    }


class _Document:
    """Paths and schemas as they gather."""

    def __init__(self, *, keys: bool, nan_policy: str) -> None:
        self._keys, self._policy = keys, nan_policy
        self.paths: dict[str, Any] = {}
        self.schemas = dict(components.SCHEMAS)
        self.tags: list[dict[str, Any]] = []
        self._taken: set[str] = set()

    def model(self, model: Description, *, alone: bool) -> None:
        """All addresses of a model; ``alone`` where no other is served."""
        name, slug, version = model.bundle.name, self._slug(model.bundle.name), model.bundle.version
        self._tag, at = f"model {name}", quote(name, safe="")
        base, v1 = f"/v2/models/{at}", f"/v1/models/{at}"
        self.schemas |= {
            f"{slug}.request": schemas.request(model, self._policy),
            f"{slug}.answer": schemas.answer(model, self._policy),
        }
        signature = model.bundle.signature
        self.tags.append(
            {"name": self._tag, "x-model": {"name": name, "version": version, "infer": f"{base}/infer"} | _told(model)}
        )
        for end, which, more in (("", "", []), ("/versions/{version}", "Version", [components.version(version)])):
            self._get(f"{base}{end}", f"describe{which}_{slug}", "Model", LOOKED_UP, more)
            self._get(f"{base}{end}/ready", f"ready{which}_{slug}", "ModelReady", LOOKED_UP, more, or_not=True)
            self._get(f"{base}{end}/stats", f"statistics{which}_{slug}", "Statistics", LOOKED_UP, more)
            self._get(f"{v1}{end}", f"status{which}_{slug}", "V1Status", LOOKED_UP, more, or_not=True)
            asked, told = ("AnyRequest", "AnyAnswer") if more else (f"{slug}.request", f"{slug}.answer")
            body = components.body(asked, example_of(signature))
            self._infer(f"{base}{end}/infer", f"infer{which}_{slug}", body, components.content(told), more, binary=True)
        self._older(model, slug, at, alone=alone)

    def _older(self, model: Description, slug: str, at: str, *, alone: bool) -> None:
        """What people called before; a version that is named may take other inputs, so that its bodies are any."""
        signature, more = model.bundle.signature, [components.version(model.bundle.version)]
        rows, whole = schemas.example_rows(signature), example_of(signature)
        forms = [components.named(f"{slug}.request")]
        if schemas.by_rows(signature):
            row, some, v1 = (components.named(f"{slug}.{kind}") for kind in ("row", "rows", "v1"))
            self.schemas |= {
                f"{slug}.row": schemas.row(model, self._policy),
                f"{slug}.rows": schemas.rows(model, self._policy, row),
                f"{slug}.v1": schemas.v1(model, self._policy, some),
            }
            if alone:
                self.schemas["Invocation"] = schemas.invocation(model, row, v1)
                self._invocations(signature, rows)
            forms += some, row, v1
            told = components.content("V1Answer")
            instances = None if rows is None else {"instances": rows}
            body = components.body(f"{slug}.v1", instances)
            self._infer(f"/v1/models/{at}:predict", f"predict_{slug}", body, told)
            body, path = components.body("", instances), f"/v1/models/{at}/versions/{{version}}:predict"
            self._infer(path, f"predictVersion_{slug}", body, told, more)
        self.schemas[f"{slug}.prediction"] = either(*forms)
        told, given = components.content("Rows"), None if isinstance(whole, Zeros) else rows or whole
        body = components.body(f"{slug}.prediction", given)
        self._infer(f"/predictions/{at}", f"predictions_{slug}", body, told)
        path, body = f"/predictions/{at}/{{version}}", components.body("", given)
        self._infer(path, f"predictionsVersion_{slug}", body, told, more)

    def server(self) -> None:
        """Addresses of no model; these go before a model of the same name."""
        self._tag = "server"
        self._get("/", "alive", "Alive", OURS, scope="")
        self._get("/v2", "server", "Server", OURS, scope="")
        self._get("/v2/health/live", "live", "Live", OURS, scope="")
        self._get("/v2/health/ready", "ready", "Ready", OURS, scope="", or_not=True)
        self._get("/ping", "ping", "Ping", OURS, scope="", or_not=True)
        self._get("/v2/models/stats", "statistics", "Statistics", OURS, scope="metrics")
        self._get("/openapi.json", "openapi", "", OURS)
        self._get("/docs", "docs", "", OURS, scope="", kind=HTML)
        codes = (*OURS, ErrorCode.INVALID_INPUT)
        index = self._operation("index", components.content("Index"), codes) | {
            "requestBody": components.body("IndexRequest", {})
        }
        index["requestBody"]["required"] = False
        self.paths["/v2/repository/index"] = {"post": index}

    def _invocations(self, signature: Signature, rows: list[dict[str, Any]] | None) -> None:
        """The address that names no model."""
        table = schemas.example_csv(signature)
        body = components.body("Invocation", None if rows is None else {"instances": rows})
        body["content"][CSV] = {"schema": TEXT} if table is None else {"schema": TEXT, "example": table}
        answer = components.content("V1Answer") | {CSV: {"schema": TEXT}}
        self._infer("/invocations", "invocations", body, answer)

    def _get(
        self,
        path: str,
        name: str,
        kind_of: str,
        codes: Iterable[ErrorCode],
        parameters: Sequence[Schema] = (),
        *,
        scope: str = "predict",
        or_not: bool = False,
        kind: str = JSON,
    ) -> None:
        """An address to look at; ``or_not`` where 503 tells the same."""
        content = components.content(kind_of) if kind == JSON else {kind: {"schema": TEXT}}
        told = self._operation(name, content, codes, parameters, scope=scope)
        if or_not:
            either_of = either(*(components.named(one) for one in (kind_of, "Error")))
            told["responses"]["503"] = {"description": "not ready", "content": {JSON: {"schema": either_of}}}
        self.paths[path] = {"get": told}

    def _infer(
        self,
        path: str,
        name: str,
        body: Schema,
        content: Schema,
        parameters: Sequence[Schema] = (),
        *,
        binary: bool = False,
    ) -> None:
        """An address that predicts."""
        if binary:
            content = content | {BYTES: {}}
        headers = [key for key in PARAMETERS if binary or key != "HeaderContentLength"]
        carried = [{"$ref": f"#/components/parameters/{key}"} for key in headers]
        told = self._operation(name, content, INFERRED, [*parameters, *carried])
        told["responses"]["200"]["headers"] = {"X-Event-Id": {"schema": TEXT, "description": "what a label refers to"}}
        self.paths[path] = {"post": told | {"requestBody": body}}

    def _operation(
        self,
        name: str,
        content: Schema,
        codes: Iterable[ErrorCode],
        parameters: Sequence[Schema] = (),
        *,
        scope: str = "predict",
    ) -> Schema:
        known = {*codes, *(REFUSED if self._keys and scope else ())}
        told: Schema = {
            "operationId": name,
            "tags": [self._tag],
            "responses": {"200": {"description": "answered", "content": content}, **components.refusals(known)},
        }
        if parameters:
            told["parameters"] = list(parameters)
        if self._keys:
            told["security"] = [{"Bearer": [scope]}, {"ApiKey": [scope]}] if scope else []
        return told

    def _slug(self, name: str) -> str:
        """A name for schemas and operations, which allow few characters; unlike all others."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        slug, count = plain, 1
        while slug in self._taken:
            count += 1
            slug = f"{plain}_{count}"
        self._taken.add(slug)
        return slug


def _told(model: Description) -> dict[str, Any]:
    """Inputs and outputs for the page."""

    def told(specs: list[TensorSpec]) -> list[dict[str, Any]]:
        return [
            {
                "name": spec.name,
                "datatype": spec.datatype,
                "shape": spec.shape,
                "unit": spec.unit,
                "categories": spec.categories[:MOST_CATEGORIES],
                "more_categories": max(0, len(spec.categories) - MOST_CATEGORIES),
            }
            for spec in specs
        ]

    return {"inputs": told(model.bundle.signature.inputs), "outputs": told(model.bundle.signature.outputs)}


def _sources(page: bytes, element: str) -> str:
    """What a policy lets run: the page's own elements, by their digests."""
    found = re.findall(f"<{element}>(.*?)</{element}>".encode(), page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one).digest()).decode()}'" for one in found)


PAGE = _FILE.read_bytes()
"""Whole in itself; reads ``openapi.json`` beside it."""
_POLICY = (
    f"default-src 'none'; script-src {_sources(PAGE, 'script')}; style-src {_sources(PAGE, 'style')}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE_HEADERS = (
    f"Content-Security-Policy: {_POLICY}\r\nX-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\nCache-Control: no-cache\r\n"
).encode("ascii")
