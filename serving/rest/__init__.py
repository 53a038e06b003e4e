"""The Open Inference Protocol over REST: translation, no logic."""
