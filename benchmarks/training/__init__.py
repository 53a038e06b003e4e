"""What training must reach: figures on real data, within seconds."""
