(** * Lemmas 3.4 to 3.7 and equation (E.1): the low-rank forms.

    f ~ U1 V1^T with k1 columns, the printed q = C3 c^T ~ U2 V2^T with k2. Row j of p1, p2 belongs
    to query j, as Lemma 3.2 needs; q's column j does, so that U2 and V2 change places beside U1
    and V1. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec FaceSplitting Derivation Gradient.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

Section LowRank.
Variables (R : comUnitRingType) (L M d k1 k2 : nat).
Variables (U1 : 'M[R]_(L, k1)) (V1 : 'M[R]_(M, k1)) (U2 : 'M[R]_(M, k2)) (V2 : 'M[R]_(L, k2)).
Implicit Types (f q : 'M[R]_(L, M)) (c Y : 'M[R]_(L, d)).
Variable C3 : 'M[R]_(M, d).

(** Lemmas 3.4 and F.6: corrected. U1 V1^T C3 - Y - c = (U1 V1^T - f) C3, an error of f alone. *)
Theorem residual_error f Y :
  U1 *m V1^T *m C3 - Y - residual f C3 Y = (U1 *m V1^T - f) *m C3.
Proof. by rewrite /residual mulmxBl opprB addrA subrK. Qed.

(** Lemmas 3.4 and F.6: vacuous. Of no content as it stands: U1 = f and V1 = 1 have no error at
    all. *)
Theorem residual_exists f Y : f *m (1%:M : 'M_M)^T *m C3 - Y = residual f C3 Y.
Proof. by rewrite trmx1 mulmx1. Qed.

(** Lemmas 3.5 and F.7: corrected. The factors of the proof, U2 = [C3, -C3] and V2 = [U1 V1^T C3,
    Y], have
    the product C3 c~^T; so have C3 and c~, of d columns. *)
Theorem q_factors Y :
  row_mx C3 (- C3) *m (row_mx (U1 *m V1^T *m C3) Y)^T
  = C3 *m (residual (U1 *m V1^T) C3 Y)^T.
Proof. by rewrite tr_row_mx mul_row_col mulNmx -mulmxBr -linearB. Qed.

(** Lemmas 3.5 and F.7: corrected. C3 c~^T - C3 c^T = C3 (c~ - c)^T. *)
Theorem q_error_factored c c' : C3 *m c'^T - C3 *m c^T = C3 *m (c' - c)^T.
Proof. by rewrite linearB /= mulmxBr. Qed.

(** Lemmas 3.5 and F.7: corrected. q contains forward attention: q^T C3 + Y C3^T C3 = (f C3) C3^T
    C3. *)
Theorem attention_from_q f Y :
  q_of (residual f C3 Y) C3 *m C3 + Y *m (C3^T *m C3) = (f *m C3) *m (C3^T *m C3).
Proof. by rewrite /q_of /residual -mulmxA -mulmxDl subrK. Qed.

(** Lemmas 3.6 and F.8: corrected. p1~ = f~ o q~ = U3 V3^T, row j of U3 being U1[j] (x) V2[j] and
    row l of V3
    being V1[l] (x) U2[l]; k3 = k1 k2. *)
Theorem p1_factors :
  p1 (U1 *m V1^T) (U2 *m V2^T)^T = face_splitting U1 V2 *m (face_splitting V1 U2)^T.
Proof. by rewrite /p1 trmx_mul trmxK face_splitting_product. Qed.

(** Equation (E.1): as printed. For q~ = U2 V2^T by rows: <f~_j, q~_j> = U1[j] V1^T V2 U2[j]^T. *)
Theorem row_dots_factors_by_rows (W2 : 'M[R]_(L, k2)) (X2 : 'M[R]_(M, k2)) j :
  row_dots (U1 *m V1^T) (W2 *m X2^T) j 0 = (row j U1 *m (V1^T *m X2) *m (row j W2)^T) 0 0.
Proof.
have -> : row j U1 *m (V1^T *m X2) *m (row j W2)^T
    = row j (U1 *m V1^T) *m (X2 *m (row j W2)^T) by rewrite row_mul !mulmxA.
rewrite mxE [RHS]mxE; apply: eq_bigr => l _; congr (_ * _); first by rewrite [RHS]mxE.
by rewrite !mxE; apply: eq_bigr => k _; rewrite !mxE mulrC.
Qed.

(** Equation (E.1): corrected. For the printed q~ = C3 c~^T ~ U2 V2^T, whose column j belongs to
    query j: <f~_j, q~_j> = U1[j] V1^T U2 V2[j]^T. *)
Theorem row_dots_factors j :
  row_dots (U1 *m V1^T) (U2 *m V2^T)^T j 0 = (row j U1 *m (V1^T *m U2) *m (row j V2)^T) 0 0.
Proof. by rewrite trmx_mul trmxK row_dots_factors_by_rows. Qed.

(** Lemmas 3.7 and F.9: corrected. p2 = diag(r) f, the diagonal on the left. *)
Theorem p2_diagonal f q : p2 f q = diag_mx (row_dots f q)^T *m f.
Proof. by apply/matrixP=> j l; rewrite mul_diag_mx !mxE. Qed.

(** Lemmas 3.7 and F.9: corrected. p2~ = U4 V4^T with U4 = diag(r~) U1 and V4 = V1; k4 = k1. *)
Theorem p2_factors q :
  p2 (U1 *m V1^T) q = (diag_mx (row_dots (U1 *m V1^T) q)^T *m U1) *m V1^T.
Proof. by rewrite p2_diagonal mulmxA. Qed.

(** Theorem 3.1: corrected. p~ = p1~ - p2~ has the factors [U3, U4] and [V3, -V4]. *)
Theorem p_factors :
  let q := (U2 *m V2^T)^T in
  p_of (U1 *m V1^T) q
  = row_mx (face_splitting U1 V2) (diag_mx (row_dots (U1 *m V1^T) q)^T *m U1)
    *m (row_mx (face_splitting V1 U2) (- V1))^T.
Proof.
by rewrite /= /p_of p1_factors p2_factors tr_row_mx mul_row_col linearN mulmxN.
Qed.

(** ** <f_j, q_j> without q *)

(** Equation (E.1): corrected. <f_j, q_j> = <(f C3)_j, c_j>, in time L d from f C3. *)
Theorem row_dots_from_attention f c j :
  row_dots f (q_of c C3) j 0 = \sum_i (f *m C3) j i * c j i.
Proof.
rewrite mxE; under [in RHS]eq_bigr do rewrite mxE mulr_suml.
rewrite exchange_big; apply: eq_bigr => l _; rewrite mxE mulr_sumr; apply: eq_bigr => i _.
by rewrite mxE -mulrA [C3 _ _ * _]mulrC.
Qed.

(** Equation (E.1): corrected. <f_j, q_j> = <c_j, c_j> + <Y_j, c_j>. *)
Theorem row_dots_from_residual f Y j :
  let c := residual f C3 Y in
  row_dots f (q_of c C3) j 0 = \sum_i c j i ^+ 2 + \sum_i Y j i * c j i.
Proof.
rewrite /= row_dots_from_attention -big_split; apply: eq_bigr => i _ /=.
rewrite expr2 -mulrDl; congr (_ * _).
by rewrite [residual _ _ _ _ _]mxE [(- Y) _ _]mxE subrK.
Qed.

(** Definition 3.6: corrected. The rows of p sum to zero where those of f sum to one. *)
Theorem p_row_sums f q j : row_sums f j 0 = 1 -> row_sums (p_of f q) j 0 = 0.
Proof.
rewrite mxE => f1; rewrite mxE.
rewrite (eq_bigr (fun l => f j l * q j l - row_dots f q j 0 * f j l)) => [|l _]; last first.
  by rewrite !mxE.
by rewrite sumrB -mulr_sumr f1 mulr1 [row_dots _ _ _ _]mxE subrr.
Qed.

(** ** Evaluation in an order that forms no L x M matrix *)

(** Theorem 3.1: as printed. B^T C1^T (U3 V3^T) C2 = (B^T C1^T U3) (V3^T C2). *)
Theorem evaluate_A e r k3 (B : 'M[R]_(e, r)) (C1 : 'M[R]_(L, e)) (C2 : 'M[R]_(M, e))
    (U3 : 'M[R]_(L, k3)) (V3 : 'M[R]_(M, k3)) :
  B^T *m C1^T *m (U3 *m V3^T) *m C2 = (B^T *m C1^T *m U3) *m (V3^T *m C2).
Proof. by rewrite !mulmxA. Qed.

(** Theorem 3.1: corrected. C1^T (U3 V3^T) C2 A^T = (C1^T U3) (V3^T (C2 A^T)). *)
Theorem evaluate_B e r k3 (A : 'M[R]_(r, e)) (C1 : 'M[R]_(L, e)) (C2 : 'M[R]_(M, e))
    (U3 : 'M[R]_(L, k3)) (V3 : 'M[R]_(M, k3)) :
  C1^T *m (U3 *m V3^T) *m C2 *m A^T = (C1^T *m U3) *m (V3^T *m (C2 *m A^T)).
Proof. by rewrite !mulmxA. Qed.

End LowRank.

(** Lemmas 3.6 and F.8: corrected. p1~ has rank at most k1 k2, over a field. *)
Theorem rank_p1 (F : fieldType) L M k1 k2 (U1 : 'M[F]_(L, k1)) (V1 : 'M[F]_(M, k1))
    (U2 : 'M[F]_(M, k2)) (V2 : 'M[F]_(L, k2)) :
  (\rank (p1 (U1 *m V1^T) (U2 *m V2^T)^T) <= k1 * k2)%N.
Proof.
rewrite (p1_factors (R := [comUnitRingType of F])).
by apply: leq_trans (mxrankM_maxl _ _) _; exact: rank_leq_col.
Qed.

(** Lemmas 3.7 and F.9: corrected. p2~ has rank at most k1, over a field. *)
Theorem rank_p2 (F : fieldType) L M k1 (U1 : 'M[F]_(L, k1)) (V1 : 'M[F]_(M, k1))
    (q : 'M[F]_(L, M)) :
  (\rank (p2 (U1 *m V1^T) q) <= k1)%N.
Proof.
rewrite (p2_factors (R := [comUnitRingType of F])).
by apply: leq_trans (mxrankM_maxl _ _) _; exact: rank_leq_col.
Qed.
