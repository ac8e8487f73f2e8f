(** Written by `make coq`: what each theorem with a label assumes. *)

From Loracle Require Analysis.Loss.

Print Assumptions Analysis.Loss.loss_differentiable.
Print Assumptions Analysis.Loss.loss_in_W.
Print Assumptions Analysis.Loss.loss_in_adapters.
