"""Pictures of clothes out of noise, by a variational autoencoder and by an adversarial network."""
