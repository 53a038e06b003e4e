"""From the event log and the labels endpoint into the lake, each thing once."""
