"""What Coq has proved: the statements of proofs_check/coq by label, how they are checked, what the
ledger says of it. Reading needs no Coq; `python -m loracle_proofs.coq` does."""
