"""TorchServe as a runtime: its Java process kept by us, spoken to by sockets that nobody else can reach."""
