"""One HTML report of the year, whole in itself: opens without a network."""
# ruff: noqa: E501 - the page reads better unbroken

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import jinja2

from examples.bikeshare.demo.stream import day

if TYPE_CHECKING:
    from pathlib import Path

    from examples.bikeshare.demo.claims import Claim
    from examples.bikeshare.demo.story import Story

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Staytrue: the bike-sharing year</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; color: #22303c; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
 table { border-collapse: collapse; margin: .5rem 0 1.5rem } td, th { padding: .3rem .8rem; border-bottom: 1px solid #dde2e7; text-align: left; vertical-align: top }
 td.n { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100% } .ok { color: #0b7a75 } .no { color: #b3261e; font-weight: bold }
 time { white-space: nowrap; color: #5a6672 } h2 { margin-top: 2rem }
</style>
<h1>The bike-sharing year</h1>
<p>A model of hourly rentals, trained on January to April 2011, replayed hour by hour, in turn over REST and gRPC. Every figure below was measured in this run.</p>
<img alt="Error, evidence, alarms and promotions over the year" src="data:image/png;base64,{{ picture }}">
<h2>What was promised</h2>
<table><tr><th>Promise<th>Measured<th>Held
{% for claim in claims %}<tr><td>{{ claim.text }}<td>{{ claim.measured }}<td class="{{ 'ok' if claim.holds else 'no' }}">{{ 'yes' if claim.holds else 'NO' }}
{% endfor %}</table>
<h2>Mean absolute error, bikes an hour</h2>
<table><tr><th>Span<th>Kept true<th>Left alone
{% for name, pair in phases.items() %}<tr><td>{{ name }}<td class="n">{{ '%.1f' % pair[0] }}<td class="n">{{ '%.1f' % pair[1] }}
{% endfor %}</table>
<h2>Timeline</h2>
<table>{% for at, what in timeline %}<tr><td><time>{{ day(at) }}</time><td>{{ what }}
{% endfor %}</table>
{% if reports %}<h2>Evidently's reports</h2>
<ul>{% for name in reports %}<li><a href="{{ name }}">{{ name }}</a>{% endfor %}</ul>{% endif %}
"""


def write(story: Story, items: list[Claim], picture: Path, path: Path) -> None:
    """Write the report beside the picture."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    reports = sorted(found.relative_to(path.parent) for found in path.parent.glob("monitoring/reports/*/report.html"))
    html = environment.from_string(_PAGE).render(
        picture=base64.b64encode(picture.read_bytes()).decode(),
        claims=items,
        phases=story.year.phases(),
        timeline=story.timeline(),
        reports=[str(found) for found in reports],
        day=day,
    )
    path.write_text(html, encoding="utf-8")
