(** * Lemmas 3.1 and 3.2 as real derivatives, with the real exponential function.

    An optional part: it needs the library mathcomp-analysis 0.6, and rests on its three classical
    axioms. Sizes are positive (n.+1), so that matrices are a normed space. [is_diff x F dF] says
    that F is differentiable at x, in the sense of Frechet, and that its differential is dF. *)

From mathcomp Require Import all_ssreflect all_algebra.
From mathcomp Require Import boolp classical_sets functions reals signed topology normedtype.
From mathcomp Require Import derive sequences exp.
From Loracle Require Import Vec Jacobian FaceSplitting Derivation Gradient.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory numFieldNormedType.Exports.
Local Open Scope ring_scope.

Lemma is_diff_expR (R : realType) (a : R) : is_diff a (@expR R) (fun h => expR a * h : R).
Proof.
have d : derivable (@expR R) a 1 by exact: derivable_expR.
apply: DiffDef; first exact/derivable1_diffP.
by rewrite deriv1E // derive1E derive_val; apply/funext => h; rewrite /= mulrC.
Qed.

Section Rules.
Variables (R : realType) (V : normedModType R) (x : V).
Implicit Types F G : V -> R.

Lemma diff_cst_ (a : R) : is_diff x (fun=> a : R) (fun=> 0 : R).
Proof. exact: is_diff_cst. Qed.

Lemma diff_add F G dF dG : is_diff x F dF -> is_diff x G dG ->
  is_diff x (fun y => F y + G y : R) (fun h => dF h + dG h : R).
Proof. by move=> ? ?; exact: is_diffD. Qed.

Lemma diff_mul F G dF dG : is_diff x F dF -> is_diff x G dG ->
  is_diff x (fun y => F y * G y : R) (fun h => F x * dG h + G x * dF h : R).
Proof. by move=> ? ?; exact: is_diffM. Qed.

Lemma diff_sum n (F dF : 'I_n -> V -> R) : (forall i, is_diff x (F i) (dF i)) ->
  is_diff x (fun y => \sum_i F i y : R) (fun h => \sum_i dF i h : R).
Proof.
have e0 (H : 'I_0 -> V -> R) : (fun y => \sum_i H i y) = fun=> 0.
  by apply/funext => y; rewrite big_ord0.
have eS m (H : 'I_m.+1 -> V -> R) :
    (fun y => \sum_i H i y) = fun y => \sum_(i < m) H (widen_ord (leqnSn m) i) y + H ord_max y.
  by apply/funext => y; rewrite big_ord_recr.
elim: n F dF => [|n IHn] F dF dFP; first by rewrite !e0; exact: diff_cst_.
by rewrite !eS; exact: (diff_add (IHn _ _ (fun i => dFP _)) (dFP _)).
Qed.

Lemma diff_exp F dF : is_diff x F dF ->
  is_diff x (fun y => expR (F y) : R) (fun h => expR (F x) * dF h : R).
Proof. by move=> dFP; exact: (is_diff_comp dFP (is_diff_expR (F x))). Qed.

Lemma diff_inv F dF : F x != 0 -> is_diff x F dF ->
  is_diff x (fun y => (F y)^-1 : R) (fun h => - (F x ^- 2 * dF h) : R).
Proof.
move=> Fx0 [ex val]; have dV := diffV ex Fx0.
apply: DiffDef; first exact: differentiableV.
by rewrite dV; apply/funext => h; rewrite /= val scaleNr.
Qed.

Lemma diff_eq F dF dG : dF =1 dG -> is_diff x F dF -> is_diff x F dG.
Proof. by move=> /funext <-. Qed.

(** Entry by entry. *)
Definition is_diff_mx m n (F : V -> 'M[R]_(m, n)) (dF : V -> 'M[R]_(m, n)) :=
  forall i j, is_diff x (fun y => F y i j : R) (fun h => dF h i j : R).

Lemma diff_mx_const m n (A : 'M[R]_(m, n)) : is_diff_mx (fun=> A) (fun=> 0).
Proof. by move=> i j; apply: diff_eq (diff_cst_ (A i j)) => h; rewrite mxE. Qed.

Lemma diff_mx_add m n (F G dF dG : V -> 'M[R]_(m, n)) :
  is_diff_mx F dF -> is_diff_mx G dG ->
  is_diff_mx (fun y => F y + G y) (fun h => dF h + dG h).
Proof.
move=> FP GP i j.
have -> : (fun y => (F y + G y) i j : R) = fun y => F y i j + G y i j.
  by apply/funext => y; rewrite mxE.
by apply: diff_eq (diff_add (FP i j) (GP i j)) => h; rewrite mxE.
Qed.

Lemma diff_mx_mul m n k (F dF : V -> 'M[R]_(m, n)) (G dG : V -> 'M[R]_(n, k)) :
  is_diff_mx F dF -> is_diff_mx G dG ->
  is_diff_mx (fun y => F y *m G y) (fun h => dF h *m G x + F x *m dG h).
Proof.
move=> FP GP i j.
have -> : (fun y => (F y *m G y) i j : R) = fun y => \sum_l F y i l * G y l j.
  by apply/funext => y; rewrite mxE.
apply: diff_eq (diff_sum (fun l => diff_mul (FP i l) (GP l j))) => h.
rewrite !mxE -big_split; apply: eq_bigr => l _ /=.
by rewrite addrC [G x l j * _]mulrC.
Qed.

End Rules.

(** ** The loss as a function of anything that its scores depend on *)

Section Loss.
Variables (R : realType) (V : normedModType R) (x : V) (L M e : nat).
Variables (S dS : V -> 'M[R]_(L, M.+1)) (C3 : 'M[R]_(M.+1, e)) (Y : 'M[R]_(L, e)).
Hypothesis S_diff : is_diff_mx x S dS.

Definition f_at (y : V) : 'M[R]_(L, M.+1) := normalize (map_mx (@expR R) (S y)).
Definition c_at (y : V) : 'M[R]_(L, e) := residual (f_at y) C3 Y.
Definition loss_at (y : V) : R := half_square (c_at y).

Let f := f_at x.
Let alpha y j : R := \sum_l expR (S y j l).

Lemma alpha_gt0 y j : 0 < alpha y j.
Proof.
rewrite /alpha big_ord_recl ltr_paddr ?expR_gt0 //.
by apply: sumr_ge0 => l _; exact: ltW (expR_gt0 _).
Qed.

Lemma f_atE y j l : f_at y j l = (alpha y j)^-1 * expR (S y j l).
Proof.
rewrite !mxE /alpha; congr (_^-1 * _).
by apply: eq_bigr => m _; rewrite mxE.
Qed.

Lemma f_diff j l : is_diff x (fun y => f_at y j l : R)
  (fun h => f j l * (dS h j l - \sum_m f j m * dS h j m) : R).
Proof.
have a_diff := diff_sum (fun m => diff_exp (S_diff j m)).
have a0 : alpha x j != 0 by rewrite gt_eqF // alpha_gt0.
have -> : (fun y => f_at y j l : R) = fun y => (alpha y j)^-1 * expR (S y j l).
  by apply/funext => y; exact: f_atE.
apply: diff_eq (diff_mul (diff_inv a0 a_diff) (diff_exp (S_diff j l))) => h.
rewrite /= -/(alpha x j).
have -> : \sum_m expR (S x j m) * dS h j m = alpha x j * \sum_m f j m * dS h j m.
  by rewrite mulr_sumr; apply: eq_bigr => m _; rewrite /f f_atE -mulrA mulVKf.
rewrite /f f_atE; set t := \sum_m _; rewrite mulrBr mulrA; congr (_ + _).
rewrite mulrN; congr (- _); rewrite expr2 invfM -!mulrA mulKf //.
by rewrite mulrCA.
Qed.

Lemma c_diff j i : is_diff x (fun y => c_at y j i : R)
  (fun h => \sum_l C3 l i * (f j l * (dS h j l - \sum_m f j m * dS h j m)) : R).
Proof.
have -> : (fun y => c_at y j i : R) = fun y => \sum_l C3 l i * f_at y j l + - Y j i.
  apply/funext => y; rewrite /c_at /residual mxE [(_ *m _) _ _]mxE [(- Y) _ _]mxE.
  by congr (_ - _); apply: eq_bigr => l _; rewrite mulrC.
apply: diff_eq (diff_add (diff_sum (fun l => diff_mul (diff_cst_ x (C3 l i)) (f_diff j l)))
                         (diff_cst_ x (- Y j i))) => h.
by rewrite addr0; apply: eq_bigr => l _; rewrite mulr0 addr0.
Qed.

(** Lemma 3.1: corrected. The loss is differentiable where its scores are, and its differential is
    h |-> <p, dS(h)>: p is the gradient in the scores. *)
Theorem loss_differentiable :
  is_diff x loss_at (fun h => dot (p_of f (q_of (c_at x) C3)) (dS h) : R).
Proof.
have c2 j i := diff_mul (c_diff j i) (c_diff j i).
have -> : loss_at = fun y => 2%:R^-1 * \sum_j \sum_i c_at y j i * c_at y j i.
  by apply/funext => y; congr (_ * _); apply: eq_bigr => j _; apply: eq_bigr => i _; rewrite expr2.
apply: diff_eq (diff_mul (diff_cst_ x 2%:R^-1) (diff_sum (fun j => diff_sum (c2 j)))) => h.
rewrite mulr0 addr0 mulr_sumr; apply: eq_bigr => j _.
pose df l : R := f j l * (dS h j l - \sum_m f j m * dS h j m).
transitivity (\sum_l q_of (c_at x) C3 j l * df l).
  rewrite mulr_sumr (eq_bigr (fun i => \sum_l c_at x j i * (C3 l i * df l))) => [|i _]; last first.
    by rewrite -mulr2n -[X in _ * X]mulr_natl mulKf ?pnatr_eq0 // mulr_sumr.
  rewrite exchange_big; apply: eq_bigr => l _; rewrite mxE mulr_suml; apply: eq_bigr => i _.
  by rewrite [C3^T _ _]mxE mulrA.
set q := q_of _ _; rewrite /df.
transitivity (\sum_l (f j l * q j l) * dS h j l
              - (\sum_l f j l * q j l) * \sum_m f j m * dS h j m).
  rewrite mulr_suml -sumrB; apply: eq_bigr => l _.
  by rewrite mulrCA mulrBr mulrBr !mulrA.
rewrite mulr_sumr -sumrB; apply: eq_bigr => l _.
by rewrite !mxE mulrBl mulrA.
Qed.

End Loss.

(** ** Problem 2 *)

Section Coordinates.
Variable R : realType.

Lemma diff_coord m n (x : 'M[R]_(m.+1, n.+1)) : is_diff_mx x id id.
Proof.
move=> i j; have @f : {linear 'M[R]_(m.+1, n.+1) -> R}.
  by exists (fun N : 'M[R]_(_, _) => N i j); eexists; move=> ? ?; rewrite !mxE.
have cont : continuous f by exact: coord_continuous.
rewrite /= (_ : (fun y : 'M[R]_(m.+1, n.+1) => y i j : R) = f) //.
by apply: DiffDef; [exact: linear_differentiable | exact: diff_lin].
Qed.

Variables m n k l : nat.
Let U := 'M[R]_(m.+1, n.+1).
Let U' := 'M[R]_(k.+1, l.+1).

Lemma diff_fst (x : U * U') : is_diff_mx x (fun y => y.1) (fun h => h.1).
Proof.
move=> i j; have @f : {linear U * U' -> R}.
  by exists (fun N : U * U' => N.1 i j); eexists; move=> ? ?; rewrite !mxE.
have cont : continuous f.
  move=> y; apply: (@continuous_comp _ _ _ (@fst U U') (fun N : U => N i j : R)).
    exact: cvg_fst.
  exact: coord_continuous.
rewrite (_ : (fun y : U * U' => y.1 i j : R) = f) //.
by apply: DiffDef; [exact: linear_differentiable | exact: diff_lin].
Qed.

Lemma diff_snd (x : U * U') : is_diff_mx x (fun y => y.2) (fun h => h.2).
Proof.
move=> i j; have @f : {linear U * U' -> R}.
  by exists (fun N : U * U' => N.2 i j); eexists; move=> ? ?; rewrite !mxE.
have cont : continuous f.
  move=> y; apply: (@continuous_comp _ _ _ (@snd U U') (fun N : U' => N i j : R)).
    exact: cvg_snd.
  exact: coord_continuous.
rewrite (_ : (fun y : U * U' => y.2 i j : R) = f) //.
by apply: DiffDef; [exact: linear_differentiable | exact: diff_lin].
Qed.

End Coordinates.

Section ProblemTwo.
Variables (R : realType) (L M d e r : nat).
Variables (C1 : 'M[R]_(L, d.+1)) (C2 : 'M[R]_(M.+1, d.+1)).
Variables (C3 : 'M[R]_(M.+1, e)) (Y : 'M[R]_(L, e)).

Definition scores (W : 'M[R]_d.+1) := C1 *m W *m C2^T.
Definition loss : 'M[R]_d.+1 -> R := loss_at scores C3 Y.
Definition p_at (W : 'M[R]_d.+1) := p_of (f_at scores W) (q_of (c_at scores C3 Y W) C3).

(** Lemma 3.1: as printed. The loss (3.3) is differentiable in W, and its differential is
    H |-> <C1^T p C2, H>; vec(C1^T p C2) is the double sum of (3.5), by [double_sum]. *)
Theorem loss_in_W (W : 'M[R]_d.+1) :
  is_diff W loss (fun H => dot (C1^T *m p_at W *m C2) H : R).
Proof.
have S_diff : is_diff_mx W scores scores.
  move=> j l; have := diff_mx_mul (diff_mx_mul (diff_mx_const W C1) (@diff_coord _ _ _ W))
                                  (diff_mx_const W C2^T) j l.
  by apply: diff_eq => H; rewrite mulmx0 addr0 mul0mx add0r.
apply: diff_eq (loss_differentiable C3 Y S_diff) => H.
by rewrite /scores dot_mulr dot_mull trmxK mulmxA.
Qed.

Variable W0 : 'M[R]_d.+1.
Let AB := ('M[R]_(r.+1, d.+1) * 'M[R]_(d.+1, r.+1))%type.

(** The loss as a function of (A, B). *)
Definition adapter_loss : AB -> R := loss_at (fun y => scores (W0 + y.2 *m y.1)) C3 Y.

(** Lemma 3.2: corrected. The loss (3.3) is differentiable in (A, B) jointly, and its differential
    is
    (H, K) |-> <B^T C1^T p C2, H> + <C1^T p C2 A^T, K>, p being that of W = W0 + B A. *)
Theorem loss_in_adapters (A : 'M[R]_(r.+1, d.+1)) (B : 'M[R]_(d.+1, r.+1)) :
  let G := C1^T *m p_at (W0 + B *m A) *m C2 in
  is_diff (A, B) adapter_loss (fun HK : AB => dot (B^T *m G) HK.1 + dot (G *m A^T) HK.2 : R).
Proof.
move=> G; pose W (y : AB) := W0 + y.2 *m y.1.
pose dW (h : AB) : 'M[R]_d.+1 := h.2 *m A + B *m h.1.
have W_diff : is_diff_mx ((A, B) : AB) W dW.
  move=> i j; have := diff_mx_add (diff_mx_const ((A, B) : AB) W0)
    (diff_mx_mul (diff_snd ((A, B) : AB)) (diff_fst ((A, B) : AB))) i j.
  by apply: diff_eq => h; rewrite add0r.
have S_diff : is_diff_mx ((A, B) : AB) (fun y => scores (W y)) (fun h => scores (dW h)).
  move=> j l; have := diff_mx_mul (diff_mx_mul (diff_mx_const _ C1) W_diff)
                                  (diff_mx_const _ C2^T) j l.
  by apply: diff_eq => H; rewrite mulmx0 addr0 mul0mx add0r.
apply: diff_eq (loss_differentiable C3 Y S_diff) => h.
have -> : p_of (f_at (fun y => scores (W y)) (A, B))
    (q_of (c_at (fun y => scores (W y)) C3 Y (A, B)) C3) = p_at (W0 + B *m A) by [].
rewrite /scores dot_mulr dot_mull trmxK mulmxA -/G /dW dotDr addrC.
by rewrite dot_mull dot_mulr.
Qed.

End ProblemTwo.
