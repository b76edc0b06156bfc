"""One file an encoder: modules from (B, N, D) and lengths (B,) to (B, N, D). `genomix.nn.build.ENCODERS` lists them."""
