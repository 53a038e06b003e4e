"""Pictures of the Grafana dashboards, from a Prometheus that scraped the demo; ``python -m`` runs it."""
