"""The networks: Paramixer and what stands around it."""
