"""Those who watch a training: the journal, a line on the terminal, loggers, live gauges, the picture of its course."""
