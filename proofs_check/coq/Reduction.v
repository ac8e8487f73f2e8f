(** * Appendix G: from attention loss gradients (AAttLGC) to LoRA gradients (ALoRAGC).

    An instance of AAttLGC is A1, A2, A3, E and X, r columns wide; the width of the instance of
    ALoRAGC is d = r + k, so that d >= r is in the type. exp is any function: nothing about it is
    used. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec Jacobian FaceSplitting Derivation Gradient ErrorPropagation.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** [A, 0], with k columns of zeros. *)
Definition padded (R : ringType) m n k (A : 'M[R]_(m, n)) : 'M[R]_(m, n + k) := row_mx A 0.
Arguments padded {R m n} k A.

(** [1; 0]. *)
Definition unit_columns (R : ringType) r k : 'M[R]_(r + k, r) := col_mx 1%:M 0.

Section Embedding.
Variables (R : comUnitRingType) (exp : R -> R) (L M r k : nat).
Hypothesis r_unit : r%:R \is a @GRing.unit R.
Variables (A1 E : 'M[R]_(L, r)) (A2 A3 : 'M[R]_(M, r)) (X : 'M[R]_r).

(** The scores A1 X A2^T / r and what follows from them, Definition G.1. *)
Definition attention_scores : 'M[R]_(L, M) := r%:R^-1 *: (A1 *m X *m A2^T).
Definition attention_f := normalize (map_mx exp attention_scores).
Definition attention_c := residual attention_f A3 E.
Definition attention_p := p_of attention_f (q_of attention_c A3).
Definition attention_loss := half_square attention_c.
Definition attention_gradient : 'M[R]_r := r%:R^-1 *: (A1^T *m attention_p *m A2).

(** The substitution. *)
Definition C1 := padded k A1.
Definition B_Q := unit_columns R r k.
Definition A_Q := padded k X.
Definition C2 : 'M[R]_(M, r + k) := r%:R^-1 *: padded k A2.
Definition C3 := padded k A3.
Definition Y := padded k E.

(** Loss (3.3) of the new instance, with the frozen weight W0. *)
Definition lora_scores (W0 : 'M[R]_(r + k)) := C1 *m weight W0 B_Q A_Q *m C2^T.
Definition lora_f W0 := normalize (map_mx exp (lora_scores W0)).
Definition lora_c W0 := residual (lora_f W0) C3 Y.
Definition lora_p W0 := p_of (lora_f W0) (q_of (lora_c W0) C3).
Definition lora_loss W0 := half_square (lora_c W0).
Definition lora_gradient_A W0 : 'M[R]_(r, r + k) := B_Q^T *m C1^T *m lora_p W0 *m C2.

Lemma C1_B_Q : C1 *m B_Q = A1.
Proof. by rewrite mul_row_col mulmx1 mul0mx addr0. Qed.

(** Proof of Theorem A.1: as printed. C1 B_Q A_Q C2^T = A1 X A2^T / r. *)
Theorem scores_without_frozen_weight : C1 *m B_Q *m A_Q *m C2^T = attention_scores.
Proof.
rewrite C1_B_Q /C2 /A_Q /padded linearZ /= -scalemxAr; congr (_ *: _).
by rewrite mul_mx_row mulmx0 tr_row_mx mul_row_col mul0mx addr0.
Qed.

(** Proof of Theorem A.1: corrected. With a frozen weight W0 the scores are those of X + W0[1..r,
    1..r],
    so that they are the instance's if and only if A1 W0[1..r, 1..r] A2^T = 0. *)
Theorem scores_with_frozen_weight (W0 : 'M[R]_(r + k)) :
  lora_scores W0 = attention_scores + r%:R^-1 *: (A1 *m ulsubmx W0 *m A2^T).
Proof.
rewrite /lora_scores /weight mulmxDr mulmxDl addrC mulmxA scores_without_frozen_weight.
congr (_ + _); rewrite /C1 /C2 /padded linearZ /= -scalemxAr; congr (_ *: _).
rewrite -{1}(submxK W0) mul_row_block !mul0mx !addr0 tr_row_mx mul_row_col.
by rewrite trmx0 mulmx0 addr0.
Qed.

(** Proof of Theorem A.1: corrected. W0 = 0 is what makes the scores those of the instance. *)
Theorem scores_equal : lora_scores 0 = attention_scores.
Proof.
rewrite scores_with_frozen_weight; have -> : ulsubmx (0 : 'M[R]_(r + k)) = 0.
  by apply/matrixP=> i j; rewrite !mxE.
by rewrite mulmx0 mul0mx scaler0 addr0.
Qed.

Lemma f_equal : lora_f 0 = attention_f.
Proof. by rewrite /lora_f scores_equal. Qed.

(** Proof of Theorem A.1: corrected. f C3 - Y = [f A3 - E, 0]: the first r columns, not upper rows.
    *)
Theorem residuals_equal : lora_c 0 = padded k attention_c.
Proof.
rewrite /lora_c f_equal /residual /C3 /Y /padded mul_mx_row mulmx0.
by rewrite opp_row_mx add_row_mx oppr0 addr0.
Qed.

(** Proof of Theorem A.1: corrected. The losses are equal. *)
Theorem losses_equal : lora_loss 0 = attention_loss.
Proof.
rewrite /lora_loss residuals_equal /half_square; congr (_ * _); apply: eq_bigr => j _.
rewrite big_split_ord /= [X in _ + X]big1 ?addr0 => [|i _]; last by rewrite row_mxEr mxE expr0n.
by apply: eq_bigr => i _; rewrite row_mxEl.
Qed.

Lemma p_equal : lora_p 0 = attention_p.
Proof.
rewrite /lora_p f_equal residuals_equal /attention_p; congr (p_of _ _).
by rewrite /q_of /C3 /padded tr_row_mx mul_row_col mul0mx addr0.
Qed.

(** Proof of Theorem A.1: corrected. dL/dA_Q = [dL/dX, 0]. *)
Theorem gradients_equal : lora_gradient_A 0 = padded k attention_gradient.
Proof.
rewrite /lora_gradient_A p_equal -trmx_mul C1_B_Q /C2 /padded -scalemxAr mul_mx_row mulmx0.
by rewrite scale_row_mx scaler0.
Qed.

(** Proof of Theorem A.1: corrected. The answer is the first r columns of dL/dA_Q. *)
Theorem answer_exact : lsubmx (lora_gradient_A 0) = attention_gradient.
Proof. by rewrite gradients_equal row_mxKl. Qed.

(** Definition G.1: corrected. That is a gradient: r x r, not L x L. *)
Theorem attention_gradient_is_gradient (D : R -> R) :
  derivation D -> 2%:R \is a @GRing.unit R ->
  constant D A1 -> constant D A2 -> constant D A3 -> constant D E ->
  (forall j l, D (exp (attention_scores j l)) = exp (attention_scores j l) * D (attention_scores j l)) ->
  (forall j, row_sums (map_mx exp attention_scores) j 0 \is a GRing.unit) ->
  D attention_loss = dot attention_gradient (dM D X).
Proof.
move=> dD two A1c A2c A3c Ec rule sums.
have rule' j l : D (map_mx exp attention_scores j l)
    = map_mx exp attention_scores j l * D (attention_scores j l) by rewrite mxE rule.
rewrite (gradient_in_scores_and_values dD two A3 rule' sums Ec) A3c dot0r addr0.
rewrite (dM_scale dD) ?(D_inv_nat dD) // !(dM_mul dD) A1c mul0mx add0r dM_tr A2c.
rewrite trmx0 mulmx0 addr0 /attention_gradient dotZr dotZl; congr (_ * _).
by rewrite dot_mulr dot_mull trmxK mulmxA.
Qed.

End Embedding.

(** ** Balancing: C1 / t and t C2 *)

Section Balancing.
Variables (R : comUnitRingType) (L M d : nat).

(** Proof of Theorem A.1: corrected. The same scores, and so the same f, p and gradients in A and
    B. *)
Theorem balanced (t : R) (C : 'M[R]_(L, d)) (C' : 'M[R]_(M, d)) (W : 'M[R]_d) (p : 'M[R]_(L, M)) :
  t \is a GRing.unit ->
  (t^-1 *: C) *m W *m (t *: C')^T = C *m W *m C'^T /\
  (t^-1 *: C)^T *m p *m (t *: C') = C^T *m p *m C'.
Proof.
move=> ut; have trZ m n a (A : 'M[R]_(m, n)) : (a *: A)^T = a *: A^T by rewrite linearZ.
by split; rewrite trZ -!scalemxAl -scalemxAr scalerA mulVr // scale1r.
Qed.

End Balancing.

(** ** Norms, and what an approximate answer gives *)

Section Norms.
Variables (R : realFieldType) (L M r k : nat).

Lemma max_norm_padded m n (A : 'M[R]_(m, n)) : max_norm (padded k A) = max_norm A.
Proof.
apply/eqP; rewrite eq_le !max_norm_le ?max_norm_ge0 // => i j.
  by have := max_norm_ge (padded k A) i (lshift k j); rewrite row_mxEl.
by rewrite -(splitK j); case: (split j) => l /=;
  rewrite ?row_mxEl ?row_mxEr ?mxE ?normr0 ?max_norm_ge0 ?max_norm_ge.
Qed.

Lemma max_norm_scale m n (a : R) (A : 'M[R]_(m, n)) : max_norm (a *: A) = `|a| * max_norm A.
Proof.
have le (b : R) (B : 'M[R]_(m, n)) : max_norm (b *: B) <= `|b| * max_norm B.
  apply: max_norm_le => [|i j]; first by rewrite mulr_ge0 ?max_norm_ge0.
  by rewrite mxE normrM ler_wpmul2l ?max_norm_ge.
have [-> | a0] := eqVneq a 0.
  rewrite scale0r normr0 mul0r; apply/eqP; rewrite eq_le max_norm_ge0 andbT.
  by apply: max_norm_le => // i j; rewrite mxE normr0.
apply/eqP; rewrite eq_le le /= -{1}(scale1r A) -(mulVf a0) -scalerA.
apply: le_trans (_ : `|a| * (`|a^-1| * max_norm (a *: A)) <= _).
  by rewrite ler_wpmul2l.
by rewrite mulrA -normrM mulfV // normr1 mul1r.
Qed.

(** Proof of Theorem A.1: as printed. ||C1 B_Q A_Q|| = ||A1 X||, and ||C2|| = ||A2|| / r. *)
Theorem norms_embedded (A1 : 'M[R]_(L, r)) (A2 : 'M[R]_(M, r)) (X : 'M[R]_r) :
  max_norm (C1 k A1 *m B_Q R r k *m A_Q k X) = max_norm (A1 *m X) /\
  max_norm (C2 k A2) = r%:R^-1 * max_norm A2.
Proof.
split; first by rewrite C1_B_Q mul_mx_row mulmx0 max_norm_padded.
by rewrite max_norm_scale max_norm_padded ger0_norm // invr_ge0 ler0n.
Qed.

(** Proof of Theorem A.1: corrected. G_A within epsilon of dL/dA_Q gives its first r columns within
    epsilon of dL/dX. *)
Theorem answer_approximate (G : 'M[R]_(r, r + k)) (g : 'M[R]_r) :
  max_norm (lsubmx G - g) <= max_norm (G - padded k g).
Proof.
apply: max_norm_le => [|i j]; first exact: max_norm_ge0.
by have := max_norm_ge (G - padded k g) i (lshift k j); rewrite !mxE (unsplitK (inl j)).
Qed.

(** Proof of Theorem A.1: corrected. d >= r is needed: C1 B_Q = A1 with A1 of rank r has no
    solution of smaller width. *)
Theorem width_needed d (A1 : 'M[R]_(L, r)) (C : 'M[R]_(L, d)) (B : 'M[R]_(d, r)) :
  C *m B = A1 -> \rank A1 = r -> (r <= d)%N.
Proof.
by move=> <- <-; apply: leq_trans (mxrankM_maxr _ _) _; exact: rank_leq_row.
Qed.

End Norms.

(** ** Remarks A.2 and C.3: the embeddings in full adaptation and in self-attention *)

Section OtherEmbeddings.
Variables (R : comUnitRingType) (L M d r : nat).

(** Remark A.2: corrected. X_Q = C1, X_K = C2, X_V = C3 and W_K = W_V = 1: the scores and values of
    Problem 3 are those of Problem 2. *)
Theorem full_adaptation (C1' : 'M[R]_(L, d)) (C2' C3' : 'M[R]_(M, d)) (W : 'M[R]_d) :
  (C1' *m W) *m (C2' *m 1%:M)^T = C1' *m W *m C2'^T /\ C3' *m 1%:M = C3'.
Proof. by rewrite !mulmx1. Qed.

(** Remark C.3: corrected. Self-attention of width 3 r: X = [A1, A2, A3], whose blocks the weights
    select, has the scores A1 X A2^T and the values [A3, 0, 0]. *)
Theorem self_attention (A1 A2 A3 : 'M[R]_(L, r)) (X : 'M[R]_r) :
  let tokens := row_mx A1 (row_mx A2 A3) in
  let WQ := row_mx (col_mx X (col_mx 0 0)) 0 : 'M_(r + (r + r)) in
  let WK := row_mx (col_mx 0 (col_mx 1%:M 0)) 0 : 'M_(r + (r + r)) in
  let WV := row_mx (col_mx 0 (col_mx 0 1%:M)) 0 : 'M_(r + (r + r)) in
  (tokens *m WQ) *m (tokens *m WK)^T = A1 *m X *m A2^T /\
  tokens *m WV = padded (r + r) A3.
Proof.
cbv zeta; rewrite !mul_mx_row !mulmx0 !mul_row_col !mulmx0 !mulmx1 !add0r !addr0.
by rewrite tr_row_mx mul_row_col mul0mx addr0.
Qed.

End OtherEmbeddings.
