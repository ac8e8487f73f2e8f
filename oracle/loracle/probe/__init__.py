"""`loracle probe`: designed products tell how a device multiplies matrices, and which machine model
that is."""
