"""From a trained module to a proven bundle, and the gate that a challenger must pass."""
