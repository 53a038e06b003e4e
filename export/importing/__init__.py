"""Models made elsewhere: looked through, run beside the server's own runtime, published with that proof."""
