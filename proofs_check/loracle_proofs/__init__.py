"""The ledger: the statements of the paper, and the evidence for or against each one."""
