"""The Open Inference Protocol over gRPC: translation, no logic."""
