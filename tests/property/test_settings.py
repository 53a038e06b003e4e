"""For any values: a flag beats the environment, that beats the file, that beats the default."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from staytrue.server import ServingSection
from staytrue.settings import resolve
from staytrue.starter import _comment, _yaml

PORTS = st.one_of(st.none(), st.integers(0, 65535))


@given(PORTS, PORTS, PORTS)
def test_the_nearest_source_wins(flag: int | None, environment: int | None, file: int | None) -> None:
    section = ServingSection() if file is None else ServingSection(port=file)
    variables = {} if environment is None else {"STAYTRUE_SERVING_PORT": str(environment)}
    resolved = resolve(section, "serving", {"port": flag}, variables)
    assert resolved.port == next(port for port in (flag, environment, file, 8080) if port is not None)
    assert resolved == ServingSection(port=resolved.port)  # and nothing else changed


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_name_of_any_letters_is_written_so_that_yaml_reads_it_back(name: str) -> None:
    text = f"# {_comment(name)}\n{_yaml(name)}: {{key: {_yaml(name)}}}"
    assert yaml.safe_load(text) == {name: {"key": name}}
