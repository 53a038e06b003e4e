"""Transfer: a training that begins with weights learnt elsewhere."""
