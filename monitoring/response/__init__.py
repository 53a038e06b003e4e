"""From evidence to action: alarms, webhooks, retraining jobs."""
