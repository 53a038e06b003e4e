"""The Service dashboard: do requests get their answers, are workers well, does the sidecar keep up."""

from __future__ import annotations

from monitoring.display.dashboards.board import Board, Section, Variable
from monitoring.display.dashboards.panels import Heat, Lines, Number, Query, States
from monitoring.display.metrics import FAULTS

PICKED = 'job=~"$job", instance=~"$instance"'
"""Label matchers of what was chosen on top."""
EVENTS = "staytrue_events_collected_total"
_FAULT = f'status=~"{"|".join(FAULTS)}"'
_OK = 'status="ok"'
_CALLERS = f'status!~"ok|{"|".join(FAULTS)}"'
_SPAN = "$__rate_interval"
_YES_NO = ((0, "no", "red"), (1, "yes", "green"))
ALIVE = f"(staytrue_heartbeat_age_seconds{{{PICKED}}} < 10)"

VARIABLES = (
    Variable("job", "Job", "Prometheus' scrape job.", "label_values(staytrue_log_backlog_bytes, job)", every=True),
    Variable(
        "instance",
        "Sidecar",
        "Address of a sidecar, which stands for the server beside it.",
        'label_values(staytrue_log_backlog_bytes{job=~"$job"}, instance)',
        every=True,
    ),
)


def _rate(metric: str, by: str = "", more: str = "") -> str:
    matchers = f"{PICKED}, {more}" if more else PICKED
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{{{matchers}}}[{_SPAN}]))"


def _share(part: str) -> str:
    """A share of all requests; 0 where there are none."""
    return f"{part} / clamp_min({_rate(EVENTS)}, 1e-9)"


def _quantile(share: float, by: str = "") -> str:
    return f"histogram_quantile({share:g}, {_rate('staytrue_request_seconds_bucket', f'{by}, le' if by else 'le')})"


_NOW = Section(
    "Now",
    (
        Number(
            id=1,
            title="Requests",
            description="Requests answered a second, failures included.",
            unit="reqps",
            queries=(Query(_rate(EVENTS), "requests"),),
        ),
        Number(
            id=2,
            title="Failed by our fault",
            description=f"Share of requests that failed by the server's fault: {', '.join(FAULTS)}.",
            unit="percentunit",
            decimals=2,
            queries=(Query(_share(_rate(EVENTS, more=_FAULT)), "faults"),),
            limits=((0.01, "orange"), (0.05, "red")),
        ),
        Number(
            id=3,
            title="Latency, 99%",
            description="99% of requests were answered within this time, from arrival to answer.",
            unit="s",
            queries=(Query(_quantile(0.99), "99%"),),
            limits=((0.25, "orange"), (1, "red")),
        ),
        Number(
            id=4,
            title="Workers ready",
            description="Living workers that have answered a real inference of every loaded model.",
            queries=(Query(f"sum(staytrue_worker_ready{{{PICKED}}} and {ALIVE}) or vector(0)", "ready"),),
        ),
        Number(
            id=5,
            title="Log not yet collected",
            description="Bytes of the event log that wait for the sidecar.",
            unit="bytes",
            queries=(Query(f"sum(staytrue_log_backlog_bytes{{{PICKED}}})", "backlog"),),
            limits=((16 * 2**20, "orange"), (64 * 2**20, "red")),
        ),
        Number(
            id=6,
            title="Alerts firing",
            description="Alerts of all models that fire now.",
            queries=(Query(f"sum(staytrue_alerts_firing{{{PICKED}}}) or vector(0)", "alerts"),),
            limits=((1, "red"),),
        ),
    ),
)

_REQUESTS = Section(
    "Requests",
    (
        Lines(
            id=10,
            title="Requests by status",
            description="Requests a second. `ok` is an answer; every other status is the code of the failure.",
            unit="reqps",
            width=12,
            stacked=True,
            queries=(Query(_rate(EVENTS, "status") + " > 0", "{{status}}"),),
        ),
        Lines(
            id=11,
            title="Failures, by whose fault",
            description="Share of requests that failed: by the server's fault (overload, deadline, a fault inside), or "
            "because of what the caller sent.",
            unit="percentunit",
            width=12,
            limits=((0.05, "red"),),
            queries=(
                Query(_share(_rate(EVENTS, more=_FAULT)), "server's"),
                Query(_share(f"({_rate(EVENTS, more=_CALLERS)} or vector(0))"), "caller's"),
            ),
        ),
        Lines(
            id=12,
            title="Latency",
            description="Time from arrival to answer, from the histogram of all requests.",
            unit="s",
            width=12,
            limits=((1, "red"),),
            queries=tuple(Query(_quantile(share), f"{share:.0%}") for share in (0.5, 0.9, 0.99)),
        ),
        Heat(
            id=13,
            title="Latency, spread",
            description="How many requests took how long.",
            unit="s",
            width=12,
            queries=(Query(f"sum by (le) (increase(staytrue_request_seconds_bucket{{{PICKED}}}[{_SPAN}]))"),),
        ),
        Lines(
            id=14,
            title="Requests by model",
            description="Requests a second, failures included.",
            unit="reqps",
            queries=(Query(_rate(EVENTS, "model"), "{{model}}"),),
        ),
        Lines(
            id=15,
            title="Requests by protocol",
            description="REST, gRPC, and CloudEvents of models that are served elsewhere.",
            unit="reqps",
            queries=(Query(_rate("staytrue_protocol_requests_total", "protocol"), "{{protocol}}"),),
        ),
        Lines(
            id=16,
            title="Where the time goes",
            description="Mean seconds of a request: in the model, and outside it (waiting, decoding, encoding).",
            unit="s",
            stacked=True,
            queries=(
                Query(
                    f"({_rate('staytrue_request_seconds_sum')} - {_rate('staytrue_request_wait_seconds_sum')})"
                    f" / {_rate('staytrue_request_seconds_count')}",
                    "in the model",
                ),
                Query(
                    f"{_rate('staytrue_request_wait_seconds_sum')} / {_rate('staytrue_request_wait_seconds_count')}",
                    "outside it",
                ),
            ),
        ),
        Lines(
            id=17,
            title="Refused for their key",
            description="Requests a second without a known key (`unauthenticated`), without its scope "
            "(`permission_denied`) or beyond its rate (`overloaded`). They are in no other figure.",
            unit="reqps",
            queries=(Query(_rate("staytrue_worker_callers_refused_total", "code"), "{{code}}"),),
        ),
    ),
)

_WORKERS = Section(
    "Workers",
    (
        Lines(
            id=20,
            title="Requests in flight",
            description="Requests in a worker, at the moment of its last heartbeat.",
            queries=(Query(f"sum by (instance, worker) (staytrue_in_flight_requests{{{PICKED}}})", "{{worker}}"),),
        ),
        Lines(
            id=21,
            title="Processors",
            description="Processors that a worker keeps busy.",
            unit="suffix: cores",
            queries=(Query(_rate("staytrue_worker_cpu_seconds_total", "instance, worker"), "{{worker}}"),),
        ),
        Lines(
            id=22,
            title="Memory",
            description="Resident memory of a worker. It should level off.",
            unit="bytes",
            queries=(Query(f"sum by (instance, worker) (staytrue_worker_resident_bytes{{{PICKED}}})", "{{worker}}"),),
        ),
        States(
            id=23,
            title="Ready",
            description="Whether a worker has answered a real inference of every loaded model.",
            texts=_YES_NO,
            queries=(Query(f"min by (instance, worker) (staytrue_worker_ready{{{PICKED}}})", "{{worker}}"),),
        ),
        Lines(
            id=24,
            title="Age of the last heartbeat",
            description="Beats come each second. A worker that ended keeps ageing here for an hour, then is forgotten.",
            unit="s",
            limits=((10, "red"),),
            queries=(Query(f"max by (instance, worker) (staytrue_heartbeat_age_seconds{{{PICKED}}})", "{{worker}}"),),
        ),
        Lines(
            id=25,
            title="Rows in a request",
            description="Mean rows of an answered request.",
            queries=(Query(f"{_rate('staytrue_rows_collected_total')} / {_rate(EVENTS, more=_OK)}", "rows"),),
        ),
    ),
)

_SIDECAR = Section(
    "Event log and sidecar",
    (
        Lines(
            id=30,
            title="Log not yet collected",
            description="It should fall back to nothing; at its bound the log is full and requests are refused.",
            unit="bytes",
            queries=(Query(f"sum by (instance) (staytrue_log_backlog_bytes{{{PICKED}}})", "{{instance}}"),),
            limits=((64 * 2**20, "red"),),
        ),
        Lines(
            id=31,
            title="Collected",
            description="What the sidecar stores in a second.",
            unit="cps",
            queries=(
                Query(_rate(EVENTS), "requests"),
                Query(_rate("staytrue_rows_collected_total"), "rows"),
                Query(_rate("staytrue_labels_collected_total"), "labels"),
            ),
        ),
        Lines(
            id=32,
            title="Torn and damaged records",
            description="Torn: half written by a writer that was killed, answered to nobody. Damaged: they failed "
            "their checksum and were left out; look at the disk.",
            steps=True,
            queries=(
                Query(f"sum(staytrue_log_torn_tails_total{{{PICKED}}})", "torn"),
                Query(f"sum(staytrue_log_damaged_records_total{{{PICKED}}})", "damaged"),
            ),
        ),
        Lines(
            id=33,
            title="Failed ticks",
            description="Rounds of the sidecar that failed and were tried again. Its log says why.",
            steps=True,
            queries=(Query(f"sum by (instance) (staytrue_ticks_failed_total{{{PICKED}}})", "{{instance}}"),),
        ),
        Lines(
            id=34,
            title="Messages about alerts",
            description="To webhooks and Alertmanager. Waiting: to be tried (again). Dead: they reached nobody.",
            steps=True,
            queries=(Query(f"sum by (state) (staytrue_webhooks{{{PICKED}}})", "{{state}}"),),
        ),
        States(
            id=35,
            title="The sidecar answers Prometheus",
            description="Whether the last scrape succeeded. While it does not, all figures here stand still.",
            texts=_YES_NO,
            queries=(Query(f"min by (instance) (up{{{PICKED}}})", "{{instance}}"),),
        ),
    ),
)

BOARD = Board(
    uid="staytrue-service",
    title="Staytrue: Service",
    description="Do requests get their answers, are the workers well, does the sidecar keep up?",
    variables=VARIABLES,
    sections=(_NOW, _REQUESTS, _WORKERS, _SIDECAR),
)
