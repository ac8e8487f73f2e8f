(** * Printed forms that fail, each refuted by a concrete instance.

    Entries are rational numbers. Forms whose sizes do not fit, so that they cannot be written down
    at all, are tried where they do fit. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec Jacobian Permutation FaceSplitting Derivation Gradient.
From Loracle Require Import LowRank ErrorPropagation Reduction.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** The matrix with the given rows; entries that are not given are 0. *)
Definition rows m n (e : seq (seq rat)) : 'M[rat]_(m, n) :=
  \matrix_(i, j) nth 0 (nth [::] e i) j.

(** Entries of closed expressions: sums are written out, the rest is computed. *)
Ltac entries :=
  try move/eqP;
  repeat (rewrite !mxE || rewrite !sum_idx || rewrite !big_ord_recl || rewrite !big_ord0);
  vm_compute.

(** Equality of matrices of at most two rows and columns. *)
Ltac two_by_two :=
  apply/matrixP=> [[[|[|?]] ?] [[|[|?]] ?]] //; apply/eqP; entries.

(** ** Lemma E.1 *)

(** Lemma E.1: refuted. vec(B A) = J_B vec(A) with copies of B along the diagonal. *)
Theorem printed_J_B_fails :
  let A := rows 1 2 [:: [:: 0; 1]] in let B := rows 2 1 [:: [:: 1]; [:: 0]] in
  vec (B *m A) <> printed_J_B 2 B *m vec A.
Proof. by cbv zeta; move/colP/(_ (idx 0 1)); rewrite vecE; entries. Qed.

(** Lemma E.1: refuted. vec(B A) = J_A vec(B) with the diagonal blocks diag(A[i, k]). *)
Theorem printed_J_A_fails :
  let A := rows 1 2 [:: [:: 0; 1]] in let B := rows 2 1 [:: [:: 1]; [:: 0]] in
  vec (B *m A) <> printed_J_A 2 A *m vec B.
Proof. by cbv zeta; move/colP/(_ (idx 0 1)); rewrite vecE; entries. Qed.

(** An instance with W = Y = 0, so that f is uniform whatever exp is. *)
Definition f_half := rows 2 2 [:: [:: 1 / 2%:R; 1 / 2%:R]; [:: 1 / 2%:R; 1 / 2%:R]].

Section PrintedGradientInA.
Let C1 := rows 2 2 [:: [:: 1; 0]; [:: 0; 0]].
Let C2 := rows 2 2 [:: [:: 0; 1]; [:: 0; 0]].
Let C3 := rows 2 2 [:: [:: 0; 1]; [:: 0; 0]].
Let B := rows 2 1 [:: [:: 0]; [:: 1]].
Let G := C1^T *m p_of f_half (q_of (residual f_half C3 0) C3) *m C2.

Lemma G_of_A : G = rows 2 2 [:: [:: 0; 1 / 8%:R]; [:: 0; 0]].
Proof.
have c : residual f_half C3 0 = rows 2 2 [:: [:: 0; 1 / 2%:R]; [:: 0; 1 / 2%:R]] by two_by_two.
have q : q_of (residual f_half C3 0) C3 = rows 2 2 [:: [:: 1 / 2%:R; 0]; [:: 1 / 2%:R; 0]].
  by rewrite c; two_by_two.
have p : p_of f_half (q_of (residual f_half C3 0) C3)
    = rows 2 2 [:: [:: 1 / 8%:R; - (1 / 8%:R)]; [:: 1 / 8%:R; - (1 / 8%:R)]].
  by rewrite q; two_by_two.
by rewrite /G p; two_by_two.
Qed.

(** Lemma E.1: refuted. dL/dA = J_B^T dL/dW with the printed J_B, in either order of vec. *)
Theorem printed_gradient_in_A_fails :
  vec (B^T *m G) <> (printed_J_B 2 B)^T *m vec G /\
  vec (B^T *m G)^T <> (printed_J_B 2 B)^T *m vec G.
Proof.
by rewrite G_of_A; split; move/colP; [move/(_ (idx 0 0)) | move/(_ (idx 0 0))]; rewrite vecE; entries.
Qed.

End PrintedGradientInA.

Section PrintedGradientInB.
Let C1 := rows 2 2 [:: [:: 0; 0]; [:: 0; 1]].
Let C2 := rows 2 2 [:: [:: 0; 0]; [:: 1; 0]].
Let C3 := rows 2 2 [:: [:: 0; 0]; [:: 0; 1]].
Let A := rows 1 2 [:: [:: 1; 0]].
Let G := C1^T *m p_of f_half (q_of (residual f_half C3 0) C3) *m C2.

Lemma G_of_B : G = rows 2 2 [:: [:: 0; 0]; [:: 1 / 8%:R; 0]].
Proof.
have c : residual f_half C3 0 = rows 2 2 [:: [:: 0; 1 / 2%:R]; [:: 0; 1 / 2%:R]] by two_by_two.
have q : q_of (residual f_half C3 0) C3 = rows 2 2 [:: [:: 0; 1 / 2%:R]; [:: 0; 1 / 2%:R]].
  by rewrite c; two_by_two.
have p : p_of f_half (q_of (residual f_half C3 0) C3)
    = rows 2 2 [:: [:: - (1 / 8%:R); 1 / 8%:R]; [:: - (1 / 8%:R); 1 / 8%:R]].
  by rewrite q; two_by_two.
by rewrite /G p; two_by_two.
Qed.

(** Lemma E.1: refuted. dL/dB = J_A^T dL/dW with the printed J_A, in either order of vec. *)
Theorem printed_gradient_in_B_fails :
  vec (G *m A^T) <> (printed_J_A 2 A)^T *m vec G /\
  vec (G *m A^T)^T <> (printed_J_A 2 A)^T *m vec G.
Proof.
by rewrite G_of_B; split; move/colP; [move/(_ (idx 1 0)) | move/(_ (idx 0 1))]; rewrite vecE; entries.
Qed.

End PrintedGradientInB.

(** ** Lemma 3.2 *)

(** Lemma 3.2: refuted. dL/dB = C1^T p A C2, whose sizes fit for r = d = L only. *)
Theorem printed_gradient_in_B_product_fails :
  let A := rows 2 2 [:: [:: 0; 1]; [:: 0; 0]] in
  let p := rows 2 2 [:: [:: 1; -1]; [:: 0; 0]] in
  (1%:M : 'M_2)^T *m p *m 1%:M *m A^T <> (1%:M : 'M_2)^T *m p *m A *m 1%:M.
Proof. by cbv zeta; rewrite trmx1 !mul1mx !mulmx1 => /matrixP/(_ 0 0); entries. Qed.

(** Definition 3.6: refuted. p2_j as columns of p2, as Lemma 3.7 has them: f diag(r), which makes
    C1^T (p1 - p2) C2 another matrix than the gradient. *)
Theorem p2_by_columns_fails :
  let C1 := rows 2 1 [:: [:: 0]; [:: 1]] in let C2 := rows 2 1 [:: [:: 1]; [:: 0]] in
  let C3 := rows 2 1 [:: [:: 0]; [:: 1]] in let Y := rows 2 1 [:: [:: 1]; [:: 0]] in
  let q := q_of (residual f_half C3 Y) C3 in
  C1^T *m p_of f_half q *m C2
  <> C1^T *m (p1 f_half q - f_half *m diag_mx (row_dots f_half q)^T) *m C2.
Proof.
move=> C1 C2 C3 Y q.
have c : residual f_half C3 Y = rows 2 1 [:: [:: - (1 / 2%:R)]; [:: 1 / 2%:R]] by two_by_two.
have -> : q = rows 2 2 [:: [:: 0; - (1 / 2%:R)]; [:: 0; 1 / 2%:R]] by rewrite /q c; two_by_two.
clear q; set q := rows 2 2 _.
have -> : p_of f_half q
    = rows 2 2 [:: [:: 1 / 8%:R; - (1 / 8%:R)]; [:: - (1 / 8%:R); 1 / 8%:R]] by two_by_two.
have -> : row_dots f_half q = rows 2 1 [:: [:: - (1 / 4%:R)]; [:: 1 / 4%:R]] by two_by_two.
have -> : p1 f_half q = rows 2 2 [:: [:: 0; - (1 / 4%:R)]; [:: 0; 1 / 4%:R]] by two_by_two.
by rewrite mul_mx_diag => /matrixP/(_ 0 0); entries.
Qed.

(** Proof of Lemma F.4: refuted. q for p in the third line of B_K. *)
Theorem q_for_p_fails : let f := rows 1 1 [:: [:: 1]] in p_of f f <> f.
Proof. by cbv zeta; move/matrixP/(_ 0 0); entries. Qed.

(** ** Lemmas F.2 to F.4 *)

(** Lemma F.2: refuted. vec(W^T) = T(m, n) vec(W) with the printed T. *)
Theorem printed_T_fails :
  let W := rows 2 3 [:: [:: 0; 0; 0]; [:: 0; 1; 0]] in
  vec W^T <> printed_T rat_comRing 2 3 *m vec W.
Proof. by cbv zeta; move/colP/(_ (idx 1 1)); rewrite vecE; entries. Qed.

(** Proof of Lemma F.2: refuted. W[p, k] stands at (k-1)m + p of vec(W). *)
Theorem printed_position_fails :
  let W := rows 2 2 [:: [:: 0; 1]; [:: 0; 0]] in
  exists (p k : 'I_2) (i : 'I_(2 * 2)), i = (k * 2 + p)%N :> nat /\ W p k <> vec W i 0.
Proof. by cbv zeta; exists 0, 1, (idx 1 0); split=> //; entries. Qed.

(** Lemma F.4: refuted. T^T in front of vec(B^T G), which fits for r = d only: dL/dA_K is
    vec((G B)^T). *)
Theorem printed_gradient_in_A_K_fails :
  let G := rows 2 2 [:: [:: 1; 0]; [:: 0; 0]] in let B := rows 2 2 [:: [:: 0; 1]; [:: 0; 0]] in
  vec (G *m B)^T <> (T rat_comRing 2 2)^T *m vec (B^T *m G).
Proof. by cbv zeta; rewrite tr_T_vec => /colP/(_ (idx 0 1)); rewrite !vecE; entries. Qed.

(** Lemma F.4: refuted. T^T in front of vec(G A^T), which fits for r = d only: dL/dB_K is
    vec((A G)^T). *)
Theorem printed_gradient_in_B_K_fails :
  let G := rows 2 2 [:: [:: 0; 0]; [:: 1; 0]] in let A := rows 2 2 [:: [:: 0; 1]; [:: 0; 0]] in
  vec (A *m G)^T <> (T rat_comRing 2 2)^T *m vec (G *m A^T).
Proof. by cbv zeta; rewrite tr_T_vec => /vec_inj/trmx_inj/matrixP/(_ 0 0); entries. Qed.

(** ** Lemma 3.6 *)

(** Proof of Lemma 3.6: refuted. (U1 V1^T) o (U2 V2^T) = (U1 (/) U2) (V1 (/) V2)^T, column-wise,
    where
    its sizes fit: L = 1 and k1 = k2. *)
Theorem column_wise_product_fails :
  let U := rows 1 2 [:: [:: 1; 1]] in
  hadamard (U *m U^T) (U *m U^T) <> khatri_rao U U *m (khatri_rao U U)^T.
Proof. by cbv zeta; move/matrixP/(_ 0 0); entries. Qed.

(** Lemma 3.6: refuted. The error of p1 is at most the larger of those of f and q. *)
Theorem printed_p1_error_fails :
  let f := rows 1 1 [:: [:: 1]] in let f' := rows 1 1 [:: [:: 2%:R]] in
  let q := rows 1 1 [:: [:: 0]] in let q' := rows 1 1 [:: [:: 1]] in
  ~~ (max_norm (p1 f' q' - p1 f q) <= Num.max (max_norm (f' - f)) (max_norm (q' - q))).
Proof.
cbv zeta; rewrite -ltNge lt_maxl; apply/andP; split.
  apply: le_lt_trans (_ : 1 < _); first by apply: max_norm_le => // i j; rewrite !ord1; entries.
  by apply: lt_le_trans (max_norm_ge _ 0 0); entries.
apply: le_lt_trans (_ : 1 < _); first by apply: max_norm_le => // i j; rewrite !ord1; entries.
by apply: lt_le_trans (max_norm_ge _ 0 0); entries.
Qed.

(** Lemma 3.7: refuted. The error of p2 is at most the larger of those of f and q. *)
Theorem printed_p2_error_fails :
  let f := rows 1 1 [:: [:: 1]] in let f' := rows 1 1 [:: [:: 2%:R]] in
  let q := rows 1 1 [:: [:: 0]] in let q' := rows 1 1 [:: [:: 1]] in
  ~~ (max_norm (p2 f' q' - p2 f q) <= Num.max (max_norm (f' - f)) (max_norm (q' - q))).
Proof.
cbv zeta; rewrite -ltNge lt_maxl; apply/andP; split.
  apply: le_lt_trans (_ : 1 < _); first by apply: max_norm_le => // i j; rewrite !ord1; entries.
  by apply: lt_le_trans (max_norm_ge _ 0 0); entries.
apply: le_lt_trans (_ : 1 < _); first by apply: max_norm_le => // i j; rewrite !ord1; entries.
by apply: lt_le_trans (max_norm_ge _ 0 0); entries.
Qed.

(** ** Theorem 3.1 *)

(** Theorem 3.1: refuted. ||dL/dB - G_B|| <= ||A|| ||C1|| ||C2|| e_p: false, for some input, at
    every
    size but L = M = d = 1. *)
Theorem printed_gradient_error_fails L M d r : (1 < L.+1 * M.+1 * d.+1)%N ->
  exists (A : 'M[rat]_(r.+1, d.+1)) (C1 : 'M[rat]_(L.+1, d.+1)) (C2 : 'M[rat]_(M.+1, d.+1))
      (p p' : 'M[rat]_(L.+1, M.+1)),
    ~~ (max_norm ((C1^T *m p' *m C2) *m A^T - (C1^T *m p *m C2) *m A^T)
        <= max_norm A * max_norm C1 * max_norm C2 * max_norm (p' - p)).
Proof.
move=> sizes; have [//|//|//|//|A [C1 [C2 [p [p' [A1 C11 p1 C21 e]]]]]] :=
  @gradient_B_error_sharp rat_realFieldType L M d r 1 1 1 1.
exists A, C1, C2, p, p'; rewrite -ltNge e A1 C11 C21 p1 !mulr1.
by rewrite -[X in X < _]/(1%:R) ltr_nat.
Qed.

(** ** Appendix G *)

(** Proof of Theorem A.1: refuted. Without a word about the frozen weight: for W0 = 1, f is another
    matrix than the instance's, whatever exp is, as long as it is positive and increases. *)
Theorem frozen_weight_needed (exp : rat -> rat) : 0 < exp 0 -> exp 0 < exp 1 ->
  let A1 := rows 2 1 [:: [:: 0]; [:: 1]] in
  lora_f exp (k := 0) A1 A1 0 1%:M <> attention_f exp A1 A1 0.
Proof.
move=> e0 e01; cbv zeta; rewrite /lora_f /attention_f /attention_scores mulmx0 mul0mx scaler0.
have -> : lora_scores (k := 0) (rows 2 1 [:: [:: 0]; [:: 1]]) (rows 2 1 [:: [:: 0]; [:: 1]]) 0 1%:M
    = rows 2 2 [:: [:: 0; 0]; [:: 0; 1]] :> 'M[rat]_2.
  by rewrite scores_with_frozen_weight /attention_scores mulmx0 mul0mx scaler0 add0r; two_by_two.
move/matrixP/(_ 1 0); rewrite !mxE !big_ord_recl !big_ord0 !mxE /= !addr0.
move/(mulIf (lt0r_neq0 e0))/invr_inj/addrI => e; by rewrite e ltxx in e01.
Qed.

(** Proof of Theorem A.1: refuted. exp(A1 X A2^T) / r = exp(A1 X A2^T / r), for r = 2 and X = 0. *)
Theorem division_outside_fails (exp : rat -> rat) : exp 0 != 0 ->
  let A1 := 0 : 'M[rat]_(1, 2) in let X := 0 : 'M[rat]_2 in
  2%:R^-1 *: map_mx exp (A1 *m X *m A1^T) <> map_mx exp (2%:R^-1 *: (A1 *m X *m A1^T)).
Proof.
move=> e0; cbv zeta; rewrite mulmx0 mul0mx scaler0 => /matrixP/(_ 0 0); rewrite !mxE => e.
have: (2%:R^-1 - 1) * exp 0 = 0 by rewrite mulrBl mul1r e subrr.
by move/eqP; rewrite mulf_eq0 (negPf e0) orbF; vm_compute.
Qed.
