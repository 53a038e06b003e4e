"""Events to truth to action: collects what was served, watches it, alarms, retrains. Neither torch nor serving here."""
