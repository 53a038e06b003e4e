"""The alerting rules, checked and run by promtool: each fires where it should and is silent where it should be."""

from __future__ import annotations

import itertools
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.display.metrics import FAULTS
from monitoring.display.rules import RulePolicy, document, rules, to_yaml
from staytrue.command import main
from staytrue.errors import NotFound
from tests.needs import needs

ROOT = Path(__file__).parents[4]
PLACE = {"job": "staytrue", "instance": "pod:8090"}
AT = 'job="staytrue", instance="pod:8090"'
MODEL = {**PLACE, "model": "bikes"}
VERSION = {**MODEL, "version": "3"}
UP = {f"up{{{AT}}}": "1x2880"}
BACKLOG = {f"staytrue_log_backlog_bytes{{{AT}}}": "0x2880"}


@dataclass(frozen=True)
class Case:
    """Series (one value a minute) for which a rule fires at a minute, and some for which it does not."""

    rule: str
    minute: int
    fires: dict[str, str]
    silent: dict[str, str]
    labels: dict[str, str]
    summary: str
    more: dict[str, Any] = field(default_factory=dict)
    """Labels of the alert besides."""


def events(status: str, values: str, model: str = "bikes") -> dict[str, str]:
    """Requests collected."""
    return {f'staytrue_events_collected_total{{{AT}, model="{model}", status="{status}"}}': values}


def heartbeat(worker: str, age: str, ready: str = "1x2880") -> dict[str, str]:
    """Age of a worker's heartbeat, and whether it is ready."""
    return {
        f'staytrue_heartbeat_age_seconds{{{AT}, worker="{worker}"}}': age,
        f'staytrue_worker_ready{{{AT}, worker="{worker}"}}': ready,
    }


def latency(slow: str) -> dict[str, str]:
    """Sixty requests a minute, of which some take longer than a second."""
    series = f'staytrue_request_seconds_bucket{{{AT}, model="bikes", le="%s"}}'
    return {series % "0.01": "0+60x60", series % "1.0": "0+60x60", series % "2.5": slow, series % "+Inf": slow}


def drift(feature: str, values: str) -> dict[str, str]:
    """Evidence of drift of a feature."""
    name = f'model="bikes", version="3", detector="shift", feature="{feature}"'
    return {f"staytrue_drift_evidence_ratio{{{AT}, {name}}}": values}


def quality(values: str) -> dict[str, str]:
    """Evidence of a worse error."""
    return {f'staytrue_quality_evidence_ratio{{{AT}, model="bikes", version="3"}}': values}


def looked(*minutes: int) -> dict[str, str]:
    """Ends of looks, a day apart, of which the first is there from the start and others come at these minutes."""
    times = [0, *minutes, 2880]
    ends = [f"{(day + 1) * 86400}x{till - at - 1}" for day, (at, till) in enumerate(itertools.pairwise(times))]
    return {f'staytrue_looked_until_timestamp_seconds{{{AT}, model="bikes"}}': " ".join(ends)}


def one(metric: str, values: str, more: str = "") -> dict[str, str]:
    """A series of the sidecar."""
    return {f"{metric}{{{AT}{more}}}": values}


CASES = [
    Case(
        "StaytrueServerDown",
        10,
        UP | heartbeat("old", "100+60x60") | heartbeat("new", "1 1 1 60+60x60"),
        UP | heartbeat("old", "100+60x60") | heartbeat("new", "1x60"),
        PLACE,
        "No worker of the inference server beside pod:8090 shows a sign of life.",
    ),
    Case(  # the sidecar was started after the server's death
        "StaytrueServerDown",
        10,
        UP | heartbeat("old", "1 1 _x60"),
        one("up", "0x60") | heartbeat("old", "1 1 _x60"),  # of a sidecar that is down nothing is known
        PLACE,
        "No worker of the inference server beside pod:8090 shows a sign of life.",
    ),
    Case(
        "StaytrueServerNotReady",
        10,
        heartbeat("old", "100+60x60", "1x60") | heartbeat("new", "1x60", "0x60"),
        heartbeat("a", "1x60", "0x60") | heartbeat("b", "1x60", "1x60"),
        PLACE,
        "The inference server beside pod:8090 lives but is not ready.",
    ),
    Case(
        "StaytrueErrorRatioHigh",
        20,
        events("ok", "0+90x60") | events("internal", "0+10x60"),
        events("ok", "0+90x60") | events("internal", "0+4x60") | events("invalid_input", "0+90x60"),
        MODEL,
        "10% of requests to bikes fail.",
    ),
    Case(
        "StaytrueLatencyHigh",
        20,
        latency("0+62x60"),
        latency("0+60x60"),
        MODEL,
        "Requests to bikes are slow: the 0.99 quantile is 2.035s.",
    ),
    Case(
        "StaytrueTrafficVanished",
        100,
        events("ok", "0+5x50 255x100"),
        events("ok", "0+5x200") | events("ok", "7x200", "never asked"),
        MODEL,
        "bikes has had no request for 30m.",
    ),
    Case(  # requests for models that there are not, and requests that were all refused, are no traffic that can vanish
        "StaytrueTrafficVanished",
        100,
        events("ok", "0+5x50 255x100") | events("invalid_input", "0+5x50 255x100"),
        events("not_found", "0+5x50 255x100", "")
        | events("ok", "0x200")
        | events("invalid_input", "0+5x50 255x100")
        | events("ok", "0+5x50 255x100", "refused since")
        | events("invalid_input", "0+5x200", "refused since"),
        MODEL,
        "bikes has had no request for 30m.",
    ),
    Case(
        "StaytrueSidecarDown",
        20,
        one("up", "1 1 1 0x60") | one("staytrue_log_backlog_bytes", "0 0 0 stale"),
        one("up", "1x60") | BACKLOG | {'up{job="other", instance="db:1"}': "0x60"},
        PLACE,
        "The sidecar pod:8090 does not answer Prometheus.",
    ),
    Case(
        "StaytrueSidecarAbsent",
        20,
        {'up{job="other", instance="db:1"}': "1x60"},
        one("up", "1 1 1 0x60") | one("staytrue_log_backlog_bytes", "0 0 0 stale"),
        {},
        "Prometheus scrapes no sidecar.",
    ),
    Case(
        "StaytrueLogBacklogGrowing",
        30,
        one("staytrue_log_backlog_bytes", "0+10000000x60"),
        one("staytrue_log_backlog_bytes", "900000000-10000000x60"),
        PLACE,
        "286.1MiB of events wait for pod:8090, and they grow.",
    ),
    Case(
        "StaytrueTicksFailing",
        20,
        one("staytrue_ticks_failed_total", "0+1x60"),
        one("staytrue_ticks_failed_total", "0x10 2x60"),
        PLACE,
        "The sidecar pod:8090 fails at its work again and again.",
    ),
    Case(
        "StaytrueRecordsDamaged",
        20,
        one("staytrue_log_damaged_records_total", "0x10 1x60"),
        one("staytrue_log_damaged_records_total", "4x60"),
        PLACE,
        "The event log of pod:8090 holds damaged records.",
    ),
    Case(
        "StaytrueWebhooksDead",
        20,
        one("staytrue_webhooks_dead_total", "0x10 1x60"),
        one("staytrue_webhooks_dead_total", "4x60"),
        PLACE,
        "Messages of pod:8090 about alerts reached nobody.",
    ),
    Case(
        "StaytrueRetrainingFailed",
        20,
        one("staytrue_retrainings_failed_total", "0x10 1x60", ', model="bikes"'),
        one("staytrue_retrainings_failed_total", "1x60", ', model="bikes"'),
        MODEL,
        "A retraining of bikes failed.",
    ),
    Case(
        "StaytrueRetrainingStuck",
        600,
        one("staytrue_retraining_jobs", "1x700", ', state="running"'),
        one("staytrue_retraining_jobs", "1x300 0 1x399", ', state="running"')
        | one("staytrue_retraining_jobs", "3x700", ', state="failed"'),
        PLACE,
        "A retraining of pod:8090 has been running for 6h.",
        {"state": "running"},
    ),
    Case(
        "StaytrueDriftEvidence",
        1500,
        drift("temp", "1.2x1600") | drift("hum", "0.1x1600") | looked(1440),
        drift("temp", "0.9x1600") | drift("hum", "0.9x1000 1.5x600") | looked(1440),
        VERSION,
        "The inputs of bikes version 3 have moved: evidence 1.2.",
        {"staytrue_retrain": "true"},
    ),
    Case(
        "StaytrueQualityEvidence",
        1500,
        quality("1.5x1600") | looked(1440),
        quality("0.9x1000 1.5x600") | looked(1440),
        VERSION,
        "The error of bikes version 3 has grown: evidence 1.5.",
        {"staytrue_retrain": "true"},
    ),
    Case(  # the next look comes 20 minutes late, and there is no evidence in it
        "StaytrueDriftEvidence",
        1450,
        drift("temp", "1.2x1600") | looked(1440),
        drift("temp", "1.2x1459 0.3x140") | looked(1460),
        VERSION,
        "The inputs of bikes version 3 have moved: evidence 1.2.",
        {"staytrue_retrain": "true"},
    ),
    Case(
        "StaytrueQualityEvidence",
        1450,
        quality("1.5x1600") | looked(1440),
        quality("1.5x1459 0.3x140") | looked(1460),
        VERSION,
        "The error of bikes version 3 has grown: evidence 1.5.",
        {"staytrue_retrain": "true"},
    ),
    Case(  # traffic stops after one look, so that there is no other
        "StaytrueDriftEvidence",
        2000,
        drift("temp", "1.2x2100") | looked(1460),
        drift("temp", "1.2x2100") | looked(),
        VERSION,
        "The inputs of bikes version 3 have moved: evidence 1.2.",
        {"staytrue_retrain": "true"},
    ),
    Case(
        "StaytrueQualityEvidence",
        2000,
        quality("1.5x2100") | looked(1460),
        quality("1.5x2100") | looked(),
        VERSION,
        "The error of bikes version 3 has grown: evidence 1.5.",
        {"staytrue_retrain": "true"},
    ),
    Case(
        "StaytrueDataUnfit",
        20,
        one("staytrue_alerts_firing", "1x60", ', model="bikes", alertname="StaytrueData"'),
        one("staytrue_alerts_firing", "1x60", ', model="bikes", alertname="StaytrueDrift"'),
        MODEL,
        "What callers send to bikes fails its checks.",
    ),
]
NAMED = [f"{case.rule}-{number}" for number, case in enumerate(CASES)]
RULES = {rule["alert"]: rule for group in document(RulePolicy())["groups"] for rule in group["rules"]}


def promtool(folder: Path, case: Case, series: dict[str, str], expected: list[dict[str, Any]]) -> None:
    """Let promtool run the rule over series; exactly the expected alerts may fire. All the others would take long."""
    written = yaml.safe_load(to_yaml(RulePolicy()))["groups"]
    groups = [group | {"rules": [rule for rule in group["rules"] if rule["alert"] == case.rule]} for group in written]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": case.rule, "exp_alerts": expected}],
    }
    plan = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    command = [needs("promtool"), "test", "rules", str(folder / "test.yml")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("case", CASES, ids=NAMED)
def test_a_rule_fires_with_its_labels_and_its_words(case: Case, tmp_path: Path) -> None:
    notes = RULES[case.rule]["annotations"] | {"summary": case.summary}
    labels = {**case.labels, **case.more, "severity": RULES[case.rule]["labels"]["severity"]}
    promtool(tmp_path, case, case.fires, [{"exp_labels": labels, "exp_annotations": notes}])


@pytest.mark.parametrize("case", CASES, ids=NAMED)
def test_a_rule_is_silent_where_all_is_well(case: Case, tmp_path: Path) -> None:
    promtool(tmp_path, case, case.silent, [])


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == RULES.keys()


def test_promtool_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    assert main(["rules", "export", "--output", str(path)]) == 0
    command = [needs("promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(RULES)} rules found" in found.stdout


def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {f"docs/runbook.md#{heading.lower()}" for heading in headings}
    for name, rule in RULES.items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert {"summary", "description"} <= rule["annotations"].keys(), name
        assert rule["annotations"]["runbook_url"] in anchors, name


def test_only_evidence_starts_a_retraining_unless_a_person_says_otherwise() -> None:
    marked = [name for name, rule in RULES.items() if rule["labels"].get("staytrue_retrain") == "true"]
    assert marked == ["StaytrueDriftEvidence", "StaytrueQualityEvidence"]
    chosen = document(RulePolicy(retrain=["StaytrueServerDown"]))["groups"][0]["rules"][0]
    assert chosen["labels"]["staytrue_retrain"] == "true"
    with pytest.raises(NotFound, match=r'retrain: "Nobody": is no alert of these rules; alerts: StaytrueServerDown'):
        document(RulePolicy(retrain=["Nobody"]))


def test_thresholds_are_set_by_command_and_refused_where_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--set", "error_share=0.01", "--set", 'retrain=["StaytrueTicksFailing"]', "--set", "runbook=https://r"]
    assert main(["rules", "export", *chosen]) == 0
    told = capsys.readouterr().out
    assert " > 0.01" in told
    assert told.count("staytrue_retrain: 'true'") == 1
    assert "runbook_url: https://r#staytrueserverdown" in told
    wrong = {
        "error_share=2": "--error-share: expected a number > 0, < 1, got '2'; meaning: share of",
        "down_for=soon": "--down-for: expected text of the form ",
        "nonsense=1": "--nonsense: unknown setting",
        "retrain=[x": "--set retrain: expected JSON",
        "alone": "--set: expected NAME=VALUE",
    }
    for given, said in wrong.items():
        assert main(["rules", "export", "--set", given]) == 2
        assert said in capsys.readouterr().err
    assert main(["rules", "export", "--output", "/nowhere/rules.yml"]) == 2
    assert "--output /nowhere/rules.yml: cannot be written" in capsys.readouterr().err


def test_the_statuses_that_count_as_faults_are_statuses() -> None:
    from staytrue.errors import ErrorCode

    assert set(FAULTS) <= {code.value for code in ErrorCode}
    assert all(len(group) > 0 for group in rules(RulePolicy()).values())


def test_the_configurations_on_the_page_are_valid_and_route_as_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/prometheus.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```yaml\n# (?:prometheus|alertmanager)\.yml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "staytrue-rules.yaml").write_text(to_yaml(RulePolicy()), encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(first, encoding="utf-8")
    (tmp_path / "alertmanager.yml").write_text(second, encoding="utf-8")
    assert ran(tmp_path, "promtool", "check", "config", "prometheus.yml").endswith("16 rules found\n\n")
    assert "SUCCESS" in ran(tmp_path, "amtool", "check-config", "alertmanager.yml")
    routes = ("amtool", "config", "routes", "test", "--config.file=alertmanager.yml")
    assert ran(tmp_path, *routes, "staytrue_retrain=true") == "staytrue,people\n"
    assert ran(tmp_path, *routes, "severity=critical") == "people\n"


def ran(folder: Path, program: str, *arguments: str) -> str:
    """What a program printed; it must have succeeded."""
    found = subprocess.run([needs(program), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout
