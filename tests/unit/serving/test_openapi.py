"""The OpenAPI document says what the server does: examples are accepted, addresses answer, schemas are strict."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from serving.description import Description
from serving.rest import binary, codec, dialects, invocations, legacy, openapi
from serving.rest.errors import STATUS
from staytrue.asking import MOST_VALUES
from staytrue.bundle import Bundle
from staytrue.errors import ErrorCode
from staytrue.lineage import Lineage
from staytrue.signature import NUMPY, Signature, TensorSpec
from staytrue.tensors import Parsed, accepted, wanted
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

MAX_BATCH = 8
HOSTILE = "a/../b?c#d{e}%2f:f<script>alert(1)</script> 'ö\u202e"


def spec(name: str, datatype: str, *shape: int, categories: list[str] | None = None) -> TensorSpec:
    """One tensor of a signature."""
    return TensorSpec(name=name, datatype=datatype, shape=list(shape), categories=categories or [])  # type: ignore[arg-type]


def signature(*inputs: TensorSpec) -> Signature:
    """A model of these inputs."""
    outputs = [spec("score", "FP32", -1, 3), spec("label", "BYTES", -1)]
    return Signature(inputs=list(inputs), outputs=outputs)


SIGNATURES = {
    **{datatype: signature(spec("x", datatype, -1, 1)) for datatype in NUMPY},
    "all": signature(*(spec(f"of {datatype}", datatype, -1) for datatype in NUMPY)),
    "row": signature(spec("x", "FP32", -1, 4)),
    "picture": signature(spec("pixels", "UINT8", -1, -1, -1, 3)),
    "digit": signature(spec("pixels", "FP32", -1, 1, 28, 28)),
    "photo": signature(spec("pixels", "FP32", -1, 3, 224, 224)),
    "photo and text": signature(spec("pixels", "BF16", -1, 3, 64, 64), spec("words", "BYTES", -1, 2)),
    "texts": signature(
        spec("kind", "BYTES", -1, categories=['quo"te', "line\nbreak", "Köln"]), spec("t", "BYTES", -1, 2)
    ),
    "scalar": signature(spec("x", "FP64")),
    "fixed": signature(spec("x", "INT64", 2, 3)),
    "rows and scalar": signature(spec("x", "FP32", -1, 2), spec("temperature", "FP32")),
    "free": signature(spec("ids", "INT64", -1, -1)),
    "hostile": signature(spec(HOSTILE, "FP32", -1), spec("</script>", "BYTES", -1, categories=["<img src=x>"])),
}


def described(name: str, of: Signature) -> Description:
    """A version that answers."""
    bundle = Bundle(
        name=name,
        version="3",
        created="2026-01-01T00:00:00.000Z",
        task="regression",
        target="score",
        signature=of,
        max_batch=MAX_BATCH,
        artefacts={"onnx": "model.onnx"},
        files={},
        parity=[],
        evaluation={},
        lineage=Lineage(run="none", data_fingerprint="none", project_fingerprint="none"),
    )
    return Description(bundle, ["3"], "onnx", "cpu", "none", {}, ready=True)


def document(of: Signature, *, keys: bool = False, nan_policy: str = "reject") -> dict[str, Any]:
    """Of one model, as it is sent."""
    made = openapi.document([described("m", of)], keys=keys, nan_policy=nan_policy)
    read: dict[str, Any] = json.loads(json.dumps(made))
    return read


def resolved(whole: dict[str, Any], node: Any) -> Any:
    """What a reference within the document leads to."""
    while isinstance(node, dict) and "$ref" in node:
        found: Any = whole
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def operations(whole: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def validator(whole: dict[str, Any], path: str) -> Draft202012Validator:
    """Judges JSON bodies of an address."""
    schema = whole["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": whole["components"]})


def sent(whole: dict[str, Any], path: str) -> tuple[bytes, str | None]:
    """The example of an address as a body, and the length of its JSON where bytes follow."""
    content = whole["paths"][path]["post"]["requestBody"]["content"]
    zeros = content.get("application/octet-stream", {}).get("x-zeros")
    if zeros is None:
        return json.dumps(content["application/json"]["example"]).encode(), None
    head = zeros["head"].encode()
    return head + bytes(zeros["bytes"]), str(len(head))


def examples(whole: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Addresses with their examples in JSON."""
    for path, method, operation in operations(whole):
        if method == "post":
            told = operation["requestBody"]["content"]["application/json"]
            if "example" in told:
                yield path, told["example"]


def check(parsed: Parsed, of: Signature) -> None:
    """Accepted as the dataplane accepts."""
    assert accepted(of, MAX_BATCH, parsed.inputs).keys() == {one.name for one in of.inputs}
    assert len(wanted(of, parsed)) == 2


each = pytest.mark.parametrize("of", SIGNATURES.values(), ids=list(SIGNATURES))


@each
@pytest.mark.parametrize("keys", [False, True])
def test_the_document_is_openapi(of: Signature, *, keys: bool) -> None:
    whole = document(of, keys=keys)
    assert set(whole) == {"openapi", "info", "tags", "paths", "components"}
    assert re.fullmatch(r"3\.1\.\d", whole["openapi"])
    assert set(whole["info"]) == {"title", "version"}
    tags = [tag["name"] for tag in whole["tags"]]
    assert len(set(tags)) == len(tags)
    named = [operation["operationId"] for _, _, operation in operations(whole)]
    assert len(set(named)) == len(named)
    for kind in whole["components"].values():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in kind)
    for node in nodes(whole):
        assert resolved(whole, node) is not None
    for schema in whole["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, method, operation in operations(whole):
        assert path.startswith("/")
        assert method in ("get", "post")
        assert set(operation["tags"]) <= set(tags)
        check_operation(whole, path, method, operation)


def check_operation(whole: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> None:
    """As the specification demands."""
    members = {"operationId", "tags", "responses", "parameters", "requestBody", "security"}
    assert set(operation) <= members
    assert ("requestBody" in operation) == (method == "post")
    parameters = [resolved(whole, one) for one in operation.get("parameters", [])]
    assert all({"name", "in", "schema"} <= set(one) for one in parameters)
    in_path = [one["name"] for one in parameters if one["in"] == "path"]
    assert in_path == re.findall(r"\{(.*?)\}", path)
    assert all(one["required"] for one in parameters if one["in"] == "path")
    assert "200" in operation["responses"]
    for status, response in operation["responses"].items():
        assert re.fullmatch(r"[2-5]\d\d|default", status)
        assert resolved(whole, response)["description"]
    media = [*operation["responses"].values(), *([operation["requestBody"]] if method == "post" else [])]
    for told in media:
        for one in resolved(whole, told)["content"].values():
            Draft202012Validator.check_schema({**one.get("schema", {})})


@each
def test_the_example_is_accepted_by_the_server(of: Signature) -> None:
    whole = document(of)
    for path in ("/v2/models/m/infer", "/v2/models/m/versions/{version}/infer"):
        body, length = sent(whole, path)
        check(codec.parse(body, "reject") if length is None else binary.parse(body, length, "reject", of), of)


@each
def test_the_examples_of_older_protocols_are_accepted(of: Signature) -> None:
    told = dict(examples(document(of)))
    large = "x-zeros" in json.dumps(document(of))
    rows = all(one.shape[:1] == [-1] for one in of.inputs)
    older = {"/v1/models/m:predict", "/v1/models/m/versions/{version}:predict", "/invocations"}
    assert older & set(told) == (older if rows and not large else set())
    assert ("/predictions/m" in told) == (not large)
    for path, example in told.items():
        body = json.dumps(example).encode()
        if ":predict" in path:
            check(legacy.parse(body, of, "reject")[0], of)
        elif path.startswith("/predictions"):
            check(legacy.parse_torchserve(body, of, "reject"), of)
        elif path == "/invocations":
            check(invocations.parse_json(body, of, "reject"), of)


@pytest.mark.parametrize("name", [*NUMPY, "all"])
def test_the_table_is_accepted(name: str) -> None:
    of = SIGNATURES[name]
    table = document(of)["paths"]["/invocations"]["post"]["requestBody"]["content"]["text/csv"]["example"]
    check(invocations.parse_csv(table.encode(), of, "reject"), of)


@each
@pytest.mark.parametrize("nan_policy", ["reject", "null", "string"])
def test_examples_are_what_their_schemas_say(of: Signature, nan_policy: str) -> None:
    whole = document(of, nan_policy=nan_policy)
    for path, example in examples(whole):
        assert list(validator(whole, path).iter_errors(example)) == [], path


def test_categories_stand_in_the_example_as_values() -> None:
    body, _ = sent(document(SIGNATURES["texts"]), "/v2/models/m/infer")
    assert json.loads(body)["inputs"][0] == {"name": "kind", "datatype": "BYTES", "shape": [1], "data": ['quo"te']}


def test_a_picture_is_not_written_out_number_by_number() -> None:
    whole = document(SIGNATURES["photo"])
    assert len(json.dumps(whole)) < 40_000
    body, length = sent(whole, "/v2/models/m/infer")
    assert len(body) - int(length or "0") == 3 * 224 * 224 * 4 > MOST_VALUES


TWO = signature(spec("x", "FP32", -1, 2), spec("n", "INT8", -1))
GOOD: dict[str, Any] = {
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2.5, 3, 4]},
        {"name": "n", "datatype": "INT8", "shape": [2], "data": [1, 127]},
    ]
}


def judged(body: Any, of: Signature = TWO, *, nan_policy: str = "reject") -> tuple[bool, bool]:
    """Whether the schema takes a body, and whether the server does."""
    whole = document(of, nan_policy=nan_policy)
    try:
        check(codec.parse(json.dumps(body).encode(), nan_policy), of)
    except Exception:  # noqa: BLE001 - any refusal
        return validator(whole, "/v2/models/m/infer").is_valid(body), False
    return validator(whole, "/v2/models/m/infer").is_valid(body), True


def test_good_requests_are_taken_in_any_order_flat_and_nested() -> None:
    assert judged(GOOD) == (True, True)
    assert judged({"inputs": GOOD["inputs"][::-1], "id": "7", "parameters": {"event_time": 1}}) == (True, True)
    nested = deepcopy(GOOD)
    nested["inputs"][0]["data"] = [[1, 2], [3, 4]]
    assert judged(nested) == (True, True)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"name": "y"}),
        (0, {"name": "n"}),
        (0, {"datatype": "FP64"}),
        (0, {"shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}),
        (0, {"shape": [2]}),
        (0, {"shape": [2, 2, 1]}),
        (0, {"data": [1, 2, 3, "4"]}),
        (0, {"data": [[1, 2, 3], [4]]}),
        (0, {"data": [1e39, 2, 3, 4]}),
        (0, {"data": [None, 2, 3, 4]}),
        (1, {"data": [1, 128]}),
        (1, {"data": [1, 1.5]}),
        (1, {"data": [True, False]}),
        (1, {"shape": [0], "data": []}),
        (1, {"shape": [-1]}),
        (1, {"shape": [MAX_BATCH + 1], "data": [0] * (MAX_BATCH + 1)}),
    ],
)
def test_what_the_server_refuses_its_schema_refuses(place: int, change: dict[str, Any]) -> None:
    body = deepcopy(GOOD)
    body["inputs"][place] |= change
    assert judged(body) == (False, False)


@pytest.mark.parametrize(
    "body", [{}, [], {"inputs": []}, {"inputs": GOOD["inputs"][:1]}, {"inputs": GOOD["inputs"] * 2}]
)
def test_every_input_is_there_once(body: Any) -> None:
    assert judged(body) == (False, False)


def test_an_output_that_is_not_there_is_refused() -> None:
    assert judged(GOOD | {"outputs": [{"name": "score"}, {"name": "label"}]}) == (True, True)
    assert judged(GOOD | {"outputs": [{"name": "scores"}, {"name": "label"}]}) == (False, False)


@pytest.mark.parametrize(("policy", "value"), [("null", None), ("string", "NaN"), ("string", "-Infinity")])
def test_missing_numbers_are_told_by_the_policy(policy: str, value: Any) -> None:
    body = deepcopy(GOOD)
    body["inputs"][0]["data"][0] = value
    assert judged(body, nan_policy=policy) == (True, True)
    assert judged(body) == (False, False)


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"x": [1, 2]}]},
        {"instances": [{"x": [1, 2, 3], "n": 1}]},
        {"instances": [{"x": [1, 2], "n": 1, "more": 1}]},
        {"instances": []},
        {"instances": [{"x": [1, 2], "n": 1}], "inputs": [{"x": [1, 2], "n": 1}]},
        {"instances": [{"x": [1, 2], "n": 1}], "signature_name": "other"},
        {"inputs": {"x": [[1, 2]]}},
        {"instances": [[1, 2]]},
    ],
)
def test_rows_are_as_strict(body: Any) -> None:
    good = validator(document(TWO), "/v1/models/m:predict")
    assert good.is_valid({"instances": [{"x": [1, 2], "n": 1}], "signature_name": "serving_default"})
    assert good.is_valid({"inputs": {"x": [[1, 2]], "n": [1]}})
    assert not good.is_valid(body)


def test_every_error_that_can_occur_is_described() -> None:
    whole = document(TWO, keys=True)
    told = set(whole["paths"]["/v2/models/m/infer"]["post"]["responses"]) - {"200", "default"}
    never = {ErrorCode.CANCELLED, ErrorCode.CONFLICT, ErrorCode.UNSUPPORTED}
    assert told == {str(status) for code, status in STATUS.items() if code not in never}
    for status in told:
        response = resolved(whole, whole["paths"]["/v2/models/m/infer"]["post"]["responses"][status])
        error = resolved(whole, response["content"]["application/json"]["schema"])
        judge = Draft202012Validator(error)
        assert all(judge.is_valid({"error": "where: what", "code": code.value}) for code in ErrorCode)
        assert not judge.is_valid({"error": "where: what", "code": "teapot"})
        assert not judge.is_valid({"error": "where: what"})


def test_headers_are_parameters_of_inferences() -> None:
    whole = document(TWO)
    told = [resolved(whole, one) for one in whole["paths"]["/v2/models/m/infer"]["post"]["parameters"]]
    names = {"X-Request-Id", "traceparent", "Request-Timeout", "X-Sticky-Id", "Inference-Header-Content-Length"}
    assert {one["name"] for one in told if one["in"] == "header"} == names
    assert dialects.HEADER_LENGTH.decode() in {name.lower() for name in names}
    older = [resolved(whole, one)["name"] for one in whole["paths"]["/v1/models/m:predict"]["post"]["parameters"]]
    assert set(older) == names - {"Inference-Header-Content-Length"}


def test_keys_are_asked_for_where_the_server_asks() -> None:
    whole = document(TWO, keys=True)
    schemes = whole["components"]["securitySchemes"]
    assert {one.get("scheme") or one["name"] for one in schemes.values()} == {"bearer", "X-Api-Key"}
    open_to_all = {path for path, _, one in operations(whole) if not one["security"]}
    assert open_to_all == {"/", "/v2", "/v2/health/live", "/v2/health/ready", "/ping", "/docs"}
    for path, _, one in operations(whole):
        scopes = {scope for need in one["security"] for scope in next(iter(need.values()))}
        wanted_scopes = set() if path in open_to_all else {"metrics"} if path == "/v2/models/stats" else {"predict"}
        assert scopes == wanted_scopes
        assert ("401" in one["responses"]) == bool(scopes)
    without = document(TWO)
    assert "securitySchemes" not in without["components"]
    assert not any("security" in one or "401" in one["responses"] for _, _, one in operations(without))


def test_hostile_names_are_escaped_in_paths() -> None:
    whole = openapi.document([described(HOSTILE, TWO)], keys=False)
    for path in whole["paths"].keys() - {"/"}:
        assert re.fullmatch(r"(?:/(?:[A-Za-z0-9_.~:-]|%[0-9A-F]{2})+|/\{version\}(?::predict)?)+", path), path
    assert not [path for path in whole["paths"] if "/../" in path]
    assert all(re.fullmatch(r"\w+", one["operationId"], re.ASCII) for _, _, one in operations(whole))


def test_models_of_like_names_stay_apart() -> None:
    names = ["a-b", "a.b", "a_b", "a_b_2", "stats", "Error", "a_version"]
    whole = openapi.document([described(name, TWO) for name in names], keys=False)
    ids = [operation["operationId"] for _, _, operation in operations(whole)]
    assert len(ids) == len(set(ids))
    for name in names:
        schema = whole["paths"][f"/v2/models/{name}/infer"]["post"]["responses"]["200"]["content"]["application/json"]
        answer = resolved(whole, schema["schema"])
        assert answer["properties"]["model_name"] == {"const": name}
    assert whole["paths"]["/v2/models/stats"]["get"]["operationId"] == "statistics"


def test_invocations_need_one_model() -> None:
    one, two = described("a", TWO), described("b", TWO)
    assert "/invocations" in openapi.document([one], keys=False)["paths"]
    assert "/invocations" not in openapi.document([one, two], keys=False)["paths"]
    assert "/v2/health/ready" in openapi.document([], keys=False)["paths"]


def test_every_address_answers_as_it_says(store: Store, tmp_path: Path) -> None:
    house = House(store, tmp_path)
    try:
        whole = house.client.get("/openapi.json").json()
        answered = {}
        for path, method, operation in operations(whole):
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("example")
            address = path.replace("{version}", "1")
            answer = house.client.request(method, address, **({} if body is None else {"json": body}))
            answered[path] = answer.status_code
            told = operation["responses"]["200"]["content"].get("application/json")
            if told and "application/json" in answer.headers["content-type"]:
                schema = {**told["schema"], "components": whole["components"]}
                assert list(Draft202012Validator(schema).iter_errors(answer.json())) == [], path
        assert {path: status for path, status in answered.items() if status != 200} == {}
        assert {"/invocations", "/predictions/tiny", "/v1/models/tiny:predict"} <= set(answered)
    finally:
        house.close()


def test_the_page_runs_nothing_but_its_own_script() -> None:
    page, headers = openapi.PAGE.decode(), openapi.PAGE_HEADERS.decode("ascii")
    assert headers.endswith("\r\n")
    lines = dict(line.split(": ", 1) for line in headers.removesuffix("\r\n").split("\r\n"))
    policy = dict(one.strip().split(" ", 1) for one in lines["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        (text,) = re.findall(f"<{element}[^>]*>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in headers
    assert not re.search(r"<[^>]+\s(?:on\w+|style|src)=", page)


def test_the_page_needs_nothing_from_elsewhere_and_inserts_nothing_as_html() -> None:
    page = openapi.PAGE.decode()
    assert not re.search(r"//[a-z0-9-]+\.[a-z]|@import|url\(", page)
    ways = "innerHTML|outerHTML|insertAdjacentHTML|document.write|createContextualFragment|DOMParser|eval|Function\\("
    assert not re.search(ways, page)
    assert not re.search("localStorage|sessionStorage|document.cookie|indexedDB", page)


def test_what_the_page_shows_is_in_the_document() -> None:
    whole = document(SIGNATURES["hostile"])
    (shown,) = [tag["x-model"] for tag in whole["tags"] if "x-model" in tag]
    assert shown["infer"] in whole["paths"]
    assert [one["name"] for one in shown["inputs"]] == [HOSTILE, "</script>"]
    assert shown["inputs"][1]["categories"] == ["<img src=x>"]
    assert {"name", "datatype", "shape", "unit", "categories", "more_categories"} == set(shown["outputs"][0])
