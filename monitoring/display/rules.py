"""Prometheus' alerting rules as code, from thresholds that are typed and may be changed.

Every alert is about something that a person or a retraining job can mend; ``docs/runbook.md`` says how. Series are
aggregated ``without`` what is too fine, so that labels of the place (namespace, pod) stay where there are such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from monitoring.display.metrics import FAULTS
from monitoring.response.hooks import RETRAIN
from staytrue.errors import NotFound
from staytrue.section import Count, Positive, Section, Share

Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]*(s|m|h|d|w)$")]
Severity = Literal["critical", "warning"]
PLACE = "on (job, instance)"


class RulePolicy(Section):
    """Thresholds of the rules: ``staytrue rules export --set error_share=0.01``, or ``STAYTRUE_RULES_ERROR_SHARE``."""

    runbook: str = Field(default="docs/runbook.md", description="address of the runbook, which alerts link to")
    rate_window: Duration = Field(default="5m", description="span over which requests and faults are counted")
    heartbeat_seconds: Positive = Field(default=10, description="a server without a heartbeat for so long is down")
    down_for: Duration = Field(default="30s", description="how long server or sidecar are down before somebody is told")
    ready_for: Duration = Field(default="2m", description="how long no worker may be ready")
    error_share: Share = Field(default=0.05, description="share of requests that fail by the server's fault")
    latency_seconds: Positive = Field(default=1.0, description="what `latency_quantile` of requests may take")
    latency_quantile: Share = Field(default=0.99, description="share of requests that must be as quick")
    sustained_for: Duration = Field(default="5m", description="how long errors, latency or a backlog must last")
    backlog_bytes: Count = Field(default=64 * 1024**2, description="uncollected log that is worth a look when it grows")
    failed_ticks: Count = Field(default=3, description="failed ticks of the sidecar in 10 minutes that are borne")
    silence: Duration = Field(default="30m", description="span without a request, after traffic in the day before")
    evidence: Positive = Field(default=1.0, description="drift or quality evidence that counts; 1 is the budget's own")
    evidence_after: Duration = Field(default="24h", description="it must have been there so long ago too: another look")
    stuck_for: Duration = Field(default="6h", description="how long a retraining may run")
    retrain: list[str] = Field(
        default=["StaytrueDriftEvidence", "StaytrueQualityEvidence"], description="alerts that may start a retraining"
    )


@dataclass(frozen=True)
class Rule:
    """One alert. ``summary`` may hold Prometheus' templates, ``description`` says what it means."""

    name: str
    expression: str
    severity: Severity
    summary: str
    description: str
    lasts: str | None = None
    """``for`` of Prometheus."""


def rules(policy: RulePolicy) -> dict[str, list[Rule]]:
    """All alerts by group."""
    return {
        "staytrue-server": [*_liveness(policy), *_requests(policy)],
        "staytrue-sidecar": [*_scraping(policy), *_collecting(policy), *_responding(policy)],
        "staytrue-model": _model(policy),
    }


def document(policy: RulePolicy) -> dict[str, Any]:
    """What Prometheus reads, and what ``spec`` of a PrometheusRule holds.

    Raises:
        NotFound: the policy lets a retraining be started by an alert that there is not.
    """
    groups = rules(policy)
    names = [rule.name for group in groups.values() for rule in group]
    unknown = next((name for name in policy.retrain if name not in names), None)
    if unknown is not None:
        raise NotFound(f'retrain: "{unknown}"', "is no alert of these rules", hint=f"alerts: {', '.join(names)}")
    listed = [{"name": name, "rules": [_written(rule, policy) for rule in group]} for name, group in groups.items()]
    return {"groups": listed}


def to_yaml(policy: RulePolicy) -> str:
    """The rules as a file for Prometheus' ``rule_files``."""
    head = "# Written by `staytrue rules export`.\n"
    return head + str(yaml.safe_dump(document(policy), sort_keys=False, allow_unicode=True, width=1000))


def _written(rule: Rule, policy: RulePolicy) -> dict[str, Any]:
    labels = {"severity": rule.severity} | ({RETRAIN: "true"} if rule.name in policy.retrain else {})
    notes = {
        "summary": rule.summary,
        "description": rule.description,
        "runbook_url": f"{policy.runbook}#{rule.name.lower()}",
    }
    lasts = {"for": rule.lasts} if rule.lasts else {}
    return {"alert": rule.name, "expr": rule.expression, **lasts, "labels": labels, "annotations": notes}


def _liveness(policy: RulePolicy) -> list[Rule]:
    alive = f"(staytrue_heartbeat_age_seconds <= {policy.heartbeat_seconds:g})"
    return [
        Rule(
            "StaytrueServerDown",
            "max without (worker) (present_over_time(staytrue_heartbeat_age_seconds[1d]))"
            f" unless {PLACE} {alive} and {PLACE} (up == 1)",
            "critical",
            "No worker of the inference server beside {{ $labels.instance }} shows a sign of life.",
            f"The last heartbeat in the event log is older than {policy.heartbeat_seconds:g} s.",
            policy.down_for,
        ),
        Rule(
            "StaytrueServerNotReady",
            f"max without (worker) (staytrue_worker_ready and on (job, instance, worker) {alive}) == 0",
            "critical",
            "The inference server beside {{ $labels.instance }} lives but is not ready.",
            "No worker has answered a real inference of every loaded model.",
            policy.ready_for,
        ),
    ]


def _requests(policy: RulePolicy) -> list[Rule]:
    requests = f"sum without (status) (rate(staytrue_events_collected_total[{policy.rate_window}]))"
    wrong = f'{{status=~"{"|".join(FAULTS)}"}}'
    faults = f"sum without (status) (rate(staytrue_events_collected_total{wrong}[{policy.rate_window}]))"
    buckets = f"rate(staytrue_request_seconds_bucket[{policy.rate_window}])"
    return [
        Rule(
            "StaytrueErrorRatioHigh",
            f"{faults} / {requests} > {policy.error_share:g}",
            "critical",
            "{{ $value | humanizePercentage }} of requests to {{ $labels.model }} fail.",
            "They fail by the server's fault: overload, deadline, a fault inside. What callers do wrong is left out.",
            policy.sustained_for,
        ),
        Rule(
            "StaytrueLatencyHigh",
            f"histogram_quantile({policy.latency_quantile:g}, {buckets}) > {policy.latency_seconds:g}",
            "warning",
            "Requests to {{ $labels.model }} are slow: "
            f"the {policy.latency_quantile:g} quantile is {{{{ $value | humanizeDuration }}}}.",
            f"It should stay under {policy.latency_seconds:g} s, from arrival to answer.",
            policy.sustained_for,
        ),
        Rule(
            "StaytrueTrafficVanished",
            # Requests for models that there are not have an empty model: nobody's traffic. Nor are refused requests.
            f'sum without (status) (increase(staytrue_events_collected_total{{model!=""}}[{policy.silence}])) == 0'
            ' and sum without (status) (increase(staytrue_events_collected_total{model!="",status="ok"}[1d])) > 0',
            "warning",
            f"{{{{ $labels.model }}}} has had no request for {policy.silence}.",
            "Some were answered within the last day. Other alarms of the model can neither fire nor resolve meanwhile.",
        ),
    ]


def _scraping(policy: RulePolicy) -> list[Rule]:
    down = f"up == 0 and {PLACE} present_over_time(staytrue_log_backlog_bytes[1d])"
    return [
        Rule(
            "StaytrueSidecarDown",
            down,
            "critical",
            "The sidecar {{ $labels.instance }} does not answer Prometheus.",
            "Nothing is collected, looked at or retrained. The server answers on; its log keeps what it logs.",
            policy.down_for,
        ),
        Rule(
            "StaytrueSidecarAbsent",
            f"absent(staytrue_log_backlog_bytes) unless on () ({down})",
            "critical",
            "Prometheus scrapes no sidecar.",
            "Either there is none, or Prometheus' configuration does not name it.",
            policy.sustained_for,
        ),
    ]


def _collecting(policy: RulePolicy) -> list[Rule]:
    return [
        Rule(
            "StaytrueLogBacklogGrowing",
            f"staytrue_log_backlog_bytes > {policy.backlog_bytes} and deriv(staytrue_log_backlog_bytes[10m]) > 0",
            "warning",
            "{{ $value | humanize1024 }}B of events wait for {{ $labels.instance }}, and they grow.",
            "The sidecar collects less than the server logs. At its bound the log refuses requests.",
            policy.sustained_for,
        ),
        Rule(
            "StaytrueTicksFailing",
            f"increase(staytrue_ticks_failed_total[10m]) > {policy.failed_ticks}",
            "warning",
            "The sidecar {{ $labels.instance }} fails at its work again and again.",
            "Its log says why, /healthz answers 503. What was not done is tried again.",
        ),
        Rule(
            "StaytrueRecordsDamaged",
            "increase(staytrue_log_damaged_records_total[1h]) > 0",
            "warning",
            "The event log of {{ $labels.instance }} holds damaged records.",
            "They failed their checksum and were left out: look at the disk.",
        ),
    ]


def _responding(policy: RulePolicy) -> list[Rule]:
    return [
        Rule(
            "StaytrueWebhooksDead",
            "increase(staytrue_webhooks_dead_total[6h]) > 0",
            "warning",
            "Messages of {{ $labels.instance }} about alerts reached nobody.",
            "The receiver refused them, or did not answer for hours. The sidecar's log names it.",
        ),
        Rule(
            "StaytrueRetrainingFailed",
            "increase(staytrue_retrainings_failed_total[6h]) > 0",
            "warning",
            "A retraining of {{ $labels.model }} failed.",
            "It ended without a verdict; the champion stays. /v1/jobs of the sidecar tells the job's last words.",
        ),
        Rule(
            "StaytrueRetrainingStuck",
            'staytrue_retraining_jobs{state="running"} > 0',
            "warning",
            f"A retraining of {{{{ $labels.instance }}}} has been running for {policy.stuck_for}.",
            "No other starts while it runs.",
            policy.stuck_for,
        ),
    ]


def _model(policy: RulePolicy) -> list[Rule]:
    return [
        Rule(
            "StaytrueDriftEvidence",
            _twice("max without (detector, feature) (staytrue_drift_evidence_ratio{at})", policy),
            "warning",
            "The inputs of {{ $labels.model }} version {{ $labels.version }} have moved: "
            "evidence {{ $value | humanize }}.",
            f"It was over {policy.evidence:g} now and {policy.evidence_after} ago. /v1/windows says in which features.",
        ),
        Rule(
            "StaytrueQualityEvidence",
            _twice("staytrue_quality_evidence_ratio{at}", policy),
            "warning",
            "The error of {{ $labels.model }} version {{ $labels.version }} has grown: "
            "evidence {{ $value | humanize }}.",
            f"It was over {policy.evidence:g} now and {policy.evidence_after} ago.",
        ),
        Rule(
            "StaytrueDataUnfit",
            'max without (alertname) (staytrue_alerts_firing{alertname="StaytrueData"}) > 0',
            "warning",
            "What callers send to {{ $labels.model }} fails its checks.",
            "Missing, constant, unknown or impossible values: mend the caller; retraining on them is no cure.",
        ),
    ]


def _twice(expression: str, policy: RulePolicy) -> str:
    """Now and a look ago, which, unlike ``for``, a failed scrape in between does not begin anew.

    A gauge keeps its value until the next look, which comes late or, without traffic, never: what was the same look at
    both times counts once.
    """
    now, before = (expression.replace("{at}", at) for at in ("", f" offset {policy.evidence_after}"))
    looked = "staytrue_looked_until_timestamp_seconds"
    another = f"({looked} > ({looked} offset {policy.evidence_after}))"
    return f"{now} >= {policy.evidence:g} and {before} >= {policy.evidence:g} and on (job, instance, model) {another}"
