(** * Lemmas 3.4 to 3.7, Theorems 3.1 and B.1: how an error in f reaches the gradient, in the max
    norm.

    The paper's || . ||_oo of a matrix is its largest entry, which is not submultiplicative: each
    product of matrices costs its inner size, and these are the factors that poly(L) stands for.
    Every bound is attained: no smaller constant would do, whatever the sizes. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec FaceSplitting Derivation Gradient LowRank.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** ** The max norm *)

(** max_{ij} |A_ij|; 0 for a matrix without entries. *)
Definition max_norm (R : realFieldType) m n (A : 'M[R]_(m, n)) : R :=
  \big[Num.max/0]_(ij : 'I_m * 'I_n) `|A ij.1 ij.2|.

Section MaxNorm.
Variable R : realFieldType.

Lemma max_norm_ge m n (A : 'M[R]_(m, n)) i j : `|A i j| <= max_norm A.
Proof.
rewrite /max_norm; have: (i, j) \in index_enum [finType of 'I_m * 'I_n].
  by rewrite mem_index_enum.
elim: (index_enum _) => // x r IHr; rewrite inE big_cons le_maxr.
by case/predU1P=> [<- | /IHr ->]; rewrite ?lexx ?orbT.
Qed.

Lemma max_norm_ge0 m n (A : 'M[R]_(m, n)) : 0 <= max_norm A.
Proof. by rewrite /max_norm; elim/big_ind: _ => // x y; rewrite le_maxr => ->. Qed.

Lemma max_norm_le m n (A : 'M[R]_(m, n)) e :
  0 <= e -> (forall i j, `|A i j| <= e) -> max_norm A <= e.
Proof.
by move=> e0 Ae; rewrite /max_norm; elim/big_ind: _ => // x y xe ye; rewrite le_maxl xe.
Qed.

(** Notation: as printed. ||A||_oo is the least bound of the |A_ij|. *)
Theorem max_normP m n (A : 'M[R]_(m, n)) e :
  0 <= e -> (max_norm A <= e <-> forall i j, `|A i j| <= e).
Proof.
move=> e0; split=> [Ae i j|]; first exact: le_trans (max_norm_ge A i j) Ae.
exact: max_norm_le.
Qed.

Lemma max_norm_const m n (a : R) : 0 <= a -> max_norm (const_mx a : 'M_(m.+1, n.+1)) = a.
Proof.
move=> a0; apply/eqP; rewrite eq_le max_norm_le // => [|i j]; last by rewrite mxE ger0_norm.
by have := max_norm_ge (const_mx a : 'M_(m.+1, n.+1)) 0 0; rewrite mxE ger0_norm.
Qed.

Lemma max_norm_add m n (A B : 'M[R]_(m, n)) : max_norm (A + B) <= max_norm A + max_norm B.
Proof.
apply: max_norm_le => [|i j]; first by rewrite addr_ge0 ?max_norm_ge0.
by rewrite mxE; apply: le_trans (ler_norm_add _ _) _; rewrite ler_add ?max_norm_ge.
Qed.

Lemma max_norm_opp m n (A : 'M[R]_(m, n)) : max_norm (- A) = max_norm A.
Proof. by apply: eq_bigr => ij _; rewrite mxE normrN. Qed.

Lemma max_norm_tr m n (A : 'M[R]_(m, n)) : max_norm A^T = max_norm A.
Proof.
have tr_le k l (B : 'M[R]_(k, l)) : max_norm B^T <= max_norm B.
  by apply: max_norm_le => [|i j]; rewrite ?max_norm_ge0 // mxE max_norm_ge.
by apply/eqP; rewrite eq_le tr_le -{1}(trmxK A) tr_le.
Qed.

Lemma max_norm_vec m n (A : 'M[R]_(m, n)) : max_norm (vec A) = max_norm A.
Proof.
apply/eqP; rewrite eq_le !max_norm_le ?max_norm_ge0 // => i j.
  by rewrite -(vecE A) max_norm_ge.
by rewrite mxE max_norm_ge.
Qed.

Lemma ler_sum_const n (F : 'I_n -> R) b : (forall i, F i <= b) -> \sum_i F i <= n%:R * b.
Proof.
move=> Fb; apply: le_trans (ler_sum _ (fun i _ => Fb i)) _.
by rewrite sumr_const card_ord mulr_natl.
Qed.

(** Theorem 3.1: corrected. ||X Y|| <= n ||X|| ||Y||, n being the inner size, where the proof has
    1. *)
Theorem max_norm_mul m n k (X : 'M[R]_(m, n)) (Y : 'M[R]_(n, k)) :
  max_norm (X *m Y) <= n%:R * (max_norm X * max_norm Y).
Proof.
apply: max_norm_le => [|i j]; first by rewrite !mulr_ge0 ?ler0n ?max_norm_ge0.
rewrite mxE; apply: le_trans (ler_norm_sum _ _ _) _; apply: ler_sum_const => l.
by rewrite normrM ler_pmul ?normr_ge0 ?max_norm_ge.
Qed.

(** Lemmas 3.6 and F.8: corrected. ||x' o y' - x o y|| <= e_x ||y|| + (||x|| + e_x) e_y. *)
Theorem hadamard_error m n (x x' y y' : 'M[R]_(m, n)) :
  let ex := max_norm (x' - x) in let ey := max_norm (y' - y) in
  max_norm (hadamard x' y' - hadamard x y) <= ex * max_norm y + (max_norm x + ex) * ey.
Proof.
cbv zeta; set ex := max_norm (x' - x); set ey := max_norm (y' - y).
apply: max_norm_le => [|i j].
  by rewrite addr_ge0 ?mulr_ge0 ?addr_ge0 ?max_norm_ge0.
have -> : (hadamard x' y' - hadamard x y) i j
    = (x' - x) i j * y i j + (x i j + (x' - x) i j) * (y' - y) i j.
  rewrite !mxE; have -> : x i j + (x' i j - x i j) = x' i j by rewrite addrC subrK.
  by rewrite mulrBl mulrBr [RHS]addrC addrA subrK.
apply: le_trans (ler_norm_add _ _) _; rewrite !normrM.
rewrite ler_add ?ler_pmul ?normr_ge0 ?max_norm_ge //.
by apply: le_trans (ler_norm_add _ _) _; rewrite ler_add ?max_norm_ge.
Qed.

Lemma regroup n k (x y : R) : (n * k)%:R * (x * y) = k%:R * (x * (n%:R * y)).
Proof. by rewrite natrM [n%:R * _]mulrC -mulrA; congr (_ * _); exact: mulrCA. Qed.

(** ** The lemmas *)

Section Chain.
Variables (L M d : nat).
Implicit Types (f q p : 'M[R]_(L, M)) (c Y : 'M[R]_(L, d)).
Variable C3 : 'M[R]_(M, d).

(** Lemmas 3.4 and F.6: corrected. ||c' - c|| <= M e_f ||C3||, for c' = f' C3 - Y. *)
Theorem residual_error_bound (f f' : 'M[R]_(L, M)) Y :
  max_norm (residual f' C3 Y - residual f C3 Y) <= M%:R * (max_norm (f' - f) * max_norm C3).
Proof. by rewrite /residual opprB addrA subrK -mulmxBl max_norm_mul. Qed.

(** Lemmas 3.4 and F.6: corrected. Without the factor M, where the rows of f' and f have equal sums:
    ||c' - c|| <= t (hi - lo), t being half of sum_l |f'_jl - f_jl| and C3 between lo and hi. *)
Theorem residual_error_by_distance (f f' : 'M[R]_(L, M)) Y (t lo hi : R) :
  0 <= t -> lo <= hi ->
  (forall j, row_sums f' j 0 = row_sums f j 0) ->
  (forall j, \sum_l `|(f' - f) j l| <= 2%:R * t) ->
  (forall l i, lo <= C3 l i <= hi) ->
  max_norm (residual f' C3 Y - residual f C3 Y) <= t * (hi - lo).
Proof.
move=> t0 lohi sums dist range; rewrite /residual opprB addrA subrK -mulmxBl.
apply: max_norm_le => [|j i]; first by rewrite mulr_ge0 ?subr_ge0.
pose m := (lo + hi) / 2%:R; pose w := (hi - lo) / 2%:R.
have w0 : 0 <= w by rewrite mulr_ge0 ?subr_ge0 ?invr_ge0 ?ler0n.
have near l : `|C3 l i - m| <= w.
  have /andP[loC Chi] := range l i.
  have halves (x : R) : x = x / 2%:R + x / 2%:R.
    by rewrite -mulrDl -mulr2n -mulr_natr mulfK ?pnatr_eq0.
  have mlo : m - w = lo by rewrite /m /w -mulrBl opprB addrACA subrr addr0 mulrDl -halves.
  have mhi : m + w = hi.
    by rewrite /m /w -mulrDl [lo + hi]addrC addrACA subrr addr0 mulrDl -halves.
  by rewrite ler_distl mlo mhi loC Chi.
have zero : \sum_l (f' - f) j l = 0.
  have := sums j; rewrite !mxE => e; apply/eqP; rewrite -subr_eq0 subr0.
  by rewrite (eq_bigr (fun l => f' j l - f j l)) => [|l _]; rewrite ?sumrB ?e ?subrr // !mxE.
rewrite mxE (eq_bigr (fun l => (f' - f) j l * (C3 l i - m) + (f' - f) j l * m)) => [|l _]; last first.
  by rewrite -mulrDr subrK.
rewrite big_split /= -mulr_suml zero mul0r addr0; apply: le_trans (ler_norm_sum _ _ _) _.
apply: le_trans (_ : \sum_l `|(f' - f) j l| * w <= _).
  by apply: ler_sum => l _; rewrite normrM ler_wpmul2l.
rewrite -mulr_suml; apply: le_trans (ler_wpmul2r w0 (dist j)) _.
by rewrite /w [2%:R * t]mulrC -mulrA [2%:R * _]mulrC divfK ?pnatr_eq0.
Qed.

(** Lemmas 3.4 and F.6: corrected. The same with ||C3||: ||c' - c|| <= 2 t ||C3||. *)
Theorem residual_error_by_distance_norm (f f' : 'M[R]_(L, M)) Y (t : R) :
  0 <= t ->
  (forall j, row_sums f' j 0 = row_sums f j 0) ->
  (forall j, \sum_l `|(f' - f) j l| <= 2%:R * t) ->
  max_norm (residual f' C3 Y - residual f C3 Y) <= 2%:R * t * max_norm C3.
Proof.
move=> t0 sums dist; have n0 := max_norm_ge0 C3.
have lohi : - max_norm C3 <= max_norm C3 by rewrite (le_trans _ n0) ?oppr_le0.
apply: le_trans (residual_error_by_distance Y t0 lohi sums dist _) _.
  by move=> l i; rewrite -ler_norml max_norm_ge.
by rewrite opprK -mulr2n -[max_norm C3 *+ 2]mulr_natl mulrA [t * _]mulrC.
Qed.

(** Lemmas 3.5 and F.7: corrected. ||C3 c'^T - C3 c^T|| <= d ||C3|| ||c' - c||. *)
Theorem q_error_bound (c c' : 'M[R]_(L, d)) :
  max_norm (C3 *m c'^T - C3 *m c^T) <= d%:R * (max_norm C3 * max_norm (c' - c)).
Proof. by rewrite q_error_factored -(max_norm_tr (c' - c)) max_norm_mul. Qed.

(** Lemmas 3.6 and F.8: corrected. ||p1' - p1|| <= e_f ||q|| + (||f|| + e_f) e_q. *)
Theorem p1_error_bound (f f' q q' : 'M[R]_(L, M)) :
  let ef := max_norm (f' - f) in let eq := max_norm (q' - q) in
  max_norm (p1 f' q' - p1 f q) <= ef * max_norm q + (max_norm f + ef) * eq.
Proof. exact: (hadamard_error f f' q q'). Qed.

(** Lemmas 3.7 and F.9: corrected. ||r' - r|| <= M (e_f ||q|| + (||f|| + e_f) e_q). *)
Theorem row_dots_error_bound (f f' q q' : 'M[R]_(L, M)) :
  let ef := max_norm (f' - f) in let eq := max_norm (q' - q) in
  max_norm (row_dots f' q' - row_dots f q)
  <= M%:R * (ef * max_norm q + (max_norm f + ef) * eq).
Proof.
cbv zeta; set ef := max_norm (f' - f); set eq := max_norm (q' - q).
apply: max_norm_le => [|j i].
  by rewrite mulr_ge0 ?addr_ge0 ?mulr_ge0 ?addr_ge0 ?ler0n ?max_norm_ge0.
rewrite !mxE -sumrB; apply: le_trans (ler_norm_sum _ _ _) _; apply: ler_sum_const => l.
apply: le_trans (hadamard_error f f' q q').
by have := max_norm_ge (hadamard f' q' - hadamard f q) j l; rewrite !mxE.
Qed.

(** Lemmas 3.7 and F.9: corrected. ||p2' - p2|| <= e_f ||r|| + (||f|| + e_f) e_r. *)
Theorem p2_error_bound (f f' q q' : 'M[R]_(L, M)) :
  let ef := max_norm (f' - f) in
  let r := row_dots f q in let er := max_norm (row_dots f' q' - r) in
  max_norm (p2 f' q' - p2 f q) <= ef * max_norm r + (max_norm f + ef) * er.
Proof.
cbv zeta; set ef := max_norm (f' - f).
pose s (g k : 'M[R]_(L, M)) : 'M[R]_(L, M) := \matrix_(j, l) row_dots g k j 0.
have p2E (g k : 'M[R]_(L, M)) : p2 g k = hadamard g (s g k).
  by apply/matrixP=> j l; rewrite !mxE mulrC.
have bound (v : 'cV[R]_L) (w : 'M[R]_(L, M)) : (forall j l, w j l = v j 0) ->
    max_norm w <= max_norm v.
  by move=> wv; apply: max_norm_le => [|j l]; rewrite ?max_norm_ge0 // wv max_norm_ge.
rewrite !p2E; apply: le_trans (hadamard_error _ _ _ _) _; rewrite -/ef.
have ef0 : 0 <= ef := max_norm_ge0 _.
apply: ler_add; apply: ler_wpmul2l; rewrite ?addr_ge0 ?max_norm_ge0 //; apply: bound => j l.
  by rewrite mxE.
by rewrite !mxE.
Qed.

(** Lemmas 3.7 and F.9: corrected. The two bounds together, e_r in the place of the error of r. *)
Theorem p2_error_bound_composed (f f' q q' : 'M[R]_(L, M)) :
  let ef := max_norm (f' - f) in let eq := max_norm (q' - q) in
  let er := M%:R * (ef * max_norm q + (max_norm f + ef) * eq) in
  max_norm (p2 f' q' - p2 f q) <= ef * max_norm (row_dots f q) + (max_norm f + ef) * er.
Proof.
cbv zeta; set ef := max_norm (f' - f); apply: le_trans (p2_error_bound f f' q q') _.
rewrite ler_add2l; apply: ler_wpmul2l; first by rewrite addr_ge0 ?max_norm_ge0.
exact: row_dots_error_bound.
Qed.

(** Theorem 3.1: as printed. ||p' - p|| <= ||p1' - p1|| + ||p2' - p2||. *)
Theorem p_error_split (f f' q q' : 'M[R]_(L, M)) :
  max_norm (p_of f' q' - p_of f q)
  <= max_norm (p1 f' q' - p1 f q) + max_norm (p2 f' q' - p2 f q).
Proof.
have -> : p_of f' q' - p_of f q = (p1 f' q' - p1 f q) - (p2 f' q' - p2 f q).
  by rewrite /p_of !opprB addrACA [RHS]addrACA [- p2 _ _ + _]addrC.
by apply: le_trans (max_norm_add _ _) _; rewrite max_norm_opp.
Qed.

(** Theorem 3.1: corrected. ||X^T (p' - p) Z|| <= L M ||X|| e_p ||Z||. *)
Theorem weight_gradient_error m n (X : 'M[R]_(L, m)) (Z : 'M[R]_(M, n))
    (p p' : 'M[R]_(L, M)) :
  max_norm (X^T *m p' *m Z - X^T *m p *m Z)
  <= (L * M)%:R * (max_norm X * max_norm (p' - p) * max_norm Z).
Proof.
rewrite -mulmxBl -mulmxBr; apply: le_trans (max_norm_mul _ _) _.
have -> : (L * M)%:R * (max_norm X * max_norm (p' - p) * max_norm Z)
    = M%:R * (L%:R * (max_norm X * max_norm (p' - p)) * max_norm Z).
  by rewrite natrM [L%:R * _]mulrC -!mulrA.
apply: ler_wpmul2l; first exact: ler0n.
apply: ler_wpmul2r; first exact: max_norm_ge0.
by rewrite -(max_norm_tr X) max_norm_mul.
Qed.

(** Theorem 3.1: corrected. ||dL/dA - G_A|| <= L M d ||B|| ||C1|| ||C2|| e_p. *)
Theorem gradient_A_error e r (B : 'M[R]_(e, r)) (C1 : 'M[R]_(L, e)) (C2 : 'M[R]_(M, e))
    (p p' : 'M[R]_(L, M)) :
  max_norm (B^T *m (C1^T *m p' *m C2) - B^T *m (C1^T *m p *m C2))
  <= (L * M * e)%:R * (max_norm B * (max_norm C1 * max_norm (p' - p) * max_norm C2)).
Proof.
rewrite -mulmxBr; apply: le_trans (max_norm_mul _ _) _; rewrite max_norm_tr.
rewrite regroup; apply: ler_wpmul2l; first exact: ler0n.
apply: ler_wpmul2l; [exact: max_norm_ge0 | exact: weight_gradient_error].
Qed.

(** Theorem 3.1: corrected. ||dL/dB - G_B|| <= L M d ||A|| ||C1|| ||C2|| e_p. *)
Theorem gradient_B_error e r (A : 'M[R]_(r, e)) (C1 : 'M[R]_(L, e)) (C2 : 'M[R]_(M, e))
    (p p' : 'M[R]_(L, M)) :
  max_norm ((C1^T *m p' *m C2) *m A^T - (C1^T *m p *m C2) *m A^T)
  <= (L * M * e)%:R * (max_norm A * (max_norm C1 * max_norm (p' - p) * max_norm C2)).
Proof.
rewrite -mulmxBl; apply: le_trans (max_norm_mul _ _) _; rewrite max_norm_tr.
rewrite regroup [max_norm A * _]mulrC; apply: ler_wpmul2l; first exact: ler0n.
apply: ler_wpmul2r; [exact: max_norm_ge0 | exact: weight_gradient_error].
Qed.

(** Theorem B.1: corrected. For K, p^T in the place of p, with X_K and X_Q W_Q: the same factors. *)
Theorem key_gradient_error m n (XK : 'M[R]_(M, m)) (Q : 'M[R]_(L, n))
    (p p' : 'M[R]_(L, M)) :
  max_norm (XK^T *m p'^T *m Q - XK^T *m p^T *m Q)
  <= (L * M)%:R * (max_norm XK * max_norm (p' - p) * max_norm Q).
Proof.
rewrite -max_norm_tr linearB /= !trmx_mul !trmxK !mulmxA.
apply: le_trans (weight_gradient_error _ _ _ _) _.
by rewrite -!mulrA [max_norm Q * _]mulrCA [max_norm Q * _]mulrC mulrCA.
Qed.

(** Theorem B.1: corrected. For V: ||X^T f'^T c' - X^T f^T c|| <= M L ||X|| (e_f ||c|| + (||f|| +
    e_f) e_c). *)
Theorem value_gradient_error m (X : 'M[R]_(M, m))
    (f f' : 'M[R]_(L, M)) (c c' : 'M[R]_(L, d)) :
  let ef := max_norm (f' - f) in let ec := max_norm (c' - c) in
  max_norm (X^T *m (f'^T *m c') - X^T *m (f^T *m c))
  <= M%:R * (max_norm X * (L%:R * (ef * max_norm c + (max_norm f + ef) * ec))).
Proof.
cbv zeta; set ef := max_norm (f' - f); set ec := max_norm (c' - c); rewrite -mulmxBr; apply: le_trans (max_norm_mul _ _) _; rewrite max_norm_tr.
do 2![apply: ler_wpmul2l; rewrite ?ler0n ?max_norm_ge0 //].
have -> : f'^T *m c' - f^T *m c = (f' - f)^T *m c + (f + (f' - f))^T *m (c' - c).
  by rewrite [f + _]addrC subrK linearB /= mulmxBl mulmxBr [RHS]addrC addrA subrK.
apply: le_trans (max_norm_add _ _) _; rewrite mulrDr; apply: ler_add.
  by apply: le_trans (max_norm_mul _ _) _; rewrite max_norm_tr.
apply: le_trans (max_norm_mul _ _) _; rewrite max_norm_tr; apply: ler_wpmul2l; rewrite ?ler0n //.
by apply: ler_wpmul2r; rewrite ?max_norm_ge0 // max_norm_add.
Qed.

End Chain.
End MaxNorm.

(** ** Sharpness: every bound is attained, at all sizes and for all norms *)

Section Sharpness.
Variable R : realFieldType.

Lemma mul_const m n k (a b : R) :
  (const_mx a : 'M_(m, n)) *m const_mx b = const_mx (n%:R * (a * b)) :> 'M_(m, k).
Proof.
apply/matrixP=> i j; rewrite !mxE (eq_bigr (fun=> a * b)) => [|l _]; last by rewrite !mxE.
by rewrite sumr_const card_ord mulr_natl.
Qed.

Lemma sub_const m n (a b : R) : const_mx a - const_mx b = const_mx (a - b) :> 'M_(m, n).
Proof. by apply/matrixP=> i j; rewrite !mxE. Qed.

Lemma hadamard_const m n (a b : R) :
  hadamard (const_mx a) (const_mx b) = const_mx (a * b) :> 'M_(m, n).
Proof. by apply/matrixP=> i j; rewrite !mxE. Qed.

Lemma row_dots_const L M (a b : R) :
  row_dots (const_mx a : 'M_(L, M)) (const_mx b) = const_mx (M%:R * (a * b)).
Proof.
apply/matrixP=> i j; rewrite !mxE (eq_bigr (fun=> a * b)) => [|l _]; last by rewrite !mxE.
by rewrite sumr_const card_ord mulr_natl.
Qed.

Lemma p2_const L M (a b : R) :
  p2 (const_mx a : 'M_(L, M)) (const_mx b) = const_mx (M%:R * (a * b) * a).
Proof.
by apply/matrixP=> j l; rewrite [p2 _ _ _ _]mxE row_dots_const !mxE.
Qed.

Lemma shuffle (l m k b t : R) : k * (b * (m * (l * t))) = l * m * k * (b * t).
Proof.
rewrite [b * (m * _)]mulrCA [b * (l * _)]mulrCA !mulrA; congr (_ * _ * _).
by rewrite [k * m]mulrC [l * m]mulrC mulrAC.
Qed.

Variables L M d : nat.

(** Theorem 3.1: corrected. ||X Y|| = n ||X|| ||Y|| occurs for every n and all norms. *)
Theorem max_norm_mul_sharp (x y : R) : 0 <= x -> 0 <= y ->
  exists (X : 'M[R]_(L.+1, M.+1)) (Y : 'M[R]_(M.+1, d.+1)),
    [/\ max_norm X = x, max_norm Y = y & max_norm (X *m Y) = M.+1%:R * (x * y)].
Proof.
move=> x0 y0; exists (const_mx x), (const_mx y); rewrite mul_const !max_norm_const //.
by rewrite !mulr_ge0 ?ler0n.
Qed.

(** Lemmas 3.4 and F.6: corrected. The factor M is attained: no smaller one would do. *)
Theorem residual_error_sharp (e v : R) : 0 <= e -> 0 <= v ->
  exists (f f' : 'M[R]_(L.+1, M.+1)) (C3 : 'M[R]_(M.+1, d.+1)) (Y : 'M[R]_(L.+1, d.+1)),
    [/\ max_norm (f' - f) = e, max_norm C3 = v &
        max_norm (residual f' C3 Y - residual f C3 Y) = M.+1%:R * (e * v)].
Proof.
move=> e0 v0; exists 0, (const_mx e), (const_mx v), 0.
rewrite /residual !subr0 mul0mx subr0 mul_const !max_norm_const //.
by rewrite !mulr_ge0 ?ler0n.
Qed.

(** Lemmas 3.5 and F.7: corrected. The factor d is attained. *)
Theorem q_error_sharp (e v : R) : 0 <= e -> 0 <= v ->
  exists (c c' : 'M[R]_(L.+1, d.+1)) (C3 : 'M[R]_(M.+1, d.+1)),
    [/\ max_norm (c' - c) = e, max_norm C3 = v &
        max_norm (C3 *m c'^T - C3 *m c^T) = d.+1%:R * (v * e)].
Proof.
move=> e0 v0; exists 0, (const_mx e), (const_mx v).
rewrite !subr0 trmx0 mulmx0 subr0 trmx_const mul_const !max_norm_const //.
by rewrite !mulr_ge0 ?ler0n.
Qed.

(** Lemmas 3.6 and 3.7: corrected. The bounds of p1, r and p2 are attained, all three at once. *)
Theorem p_errors_sharp (a e b g : R) : 0 <= a -> 0 <= e -> 0 <= b -> 0 <= g ->
  exists f f' q q' : 'M[R]_(L.+1, M.+1),
    [/\ max_norm f = a, max_norm (f' - f) = e, max_norm q = b & max_norm (q' - q) = g] /\
    [/\ max_norm (p1 f' q' - p1 f q) = e * b + (a + e) * g,
        max_norm (row_dots f' q' - row_dots f q) = M.+1%:R * (e * b + (a + e) * g) &
        max_norm (p2 f' q' - p2 f q)
        = e * max_norm (row_dots f q) + (a + e) * max_norm (row_dots f' q' - row_dots f q)].
Proof.
move=> a0 e0 b0 g0.
exists (const_mx a), (const_mx (a + e)), (const_mx b), (const_mx (b + g)).
have eb : (a + e) * (b + g) - a * b = e * b + (a + e) * g.
  apply/eqP; rewrite subr_eq mulrDr [(a + e) * b]mulrDl.
  by rewrite [X in _ == X]addrC addrA.
have rr : M.+1%:R * ((a + e) * (b + g)) - M.+1%:R * (a * b)
    = M.+1%:R * (e * b + (a + e) * g) by rewrite -mulrBr eb.
have p2e (S S' : R) : S' * (a + e) - S * a = e * S + (a + e) * (S' - S).
  apply/eqP; rewrite subr_eq addrAC [S * a]mulrC -mulrDl [e + a]addrC -mulrDr.
  by rewrite [S + _]addrC subrK mulrC.
rewrite /p1 !hadamard_const !row_dots_const !p2_const !sub_const p2e rr eb.
rewrite [a + e - a]addrC addKr [b + g - b]addrC addKr.
by rewrite !max_norm_const; do ?[exact: ler0n | assumption | apply: addr_ge0 | apply: mulr_ge0].
Qed.

(** Theorem 3.1: corrected. The factor L M of the gradient in W is attained. *)
Theorem weight_gradient_error_sharp m n (x e z : R) : 0 <= x -> 0 <= e -> 0 <= z ->
  exists (X : 'M[R]_(L.+1, m.+1)) (Z : 'M[R]_(M.+1, n.+1)) (p p' : 'M[R]_(L.+1, M.+1)),
    [/\ max_norm X = x, max_norm (p' - p) = e, max_norm Z = z &
        max_norm (X^T *m p' *m Z - X^T *m p *m Z) = (L.+1 * M.+1)%:R * (x * e * z)].
Proof.
move=> x0 e0 z0; exists (const_mx x), (const_mx z), 0, (const_mx e).
rewrite !subr0 mulmx0 mul0mx subr0 trmx_const !mul_const !max_norm_const ?mulr_ge0 ?ler0n //.
by split=> //; rewrite natrM -!mulrA mulrCA.
Qed.

(** Theorem 3.1: corrected. The factor L M d of the gradient in A is attained. *)
Theorem gradient_A_error_sharp r (b x e z : R) : 0 <= b -> 0 <= x -> 0 <= e -> 0 <= z ->
  exists (B : 'M[R]_(d.+1, r.+1)) (C1 : 'M[R]_(L.+1, d.+1)) (C2 : 'M[R]_(M.+1, d.+1))
      (p p' : 'M[R]_(L.+1, M.+1)),
    [/\ max_norm B = b, max_norm C1 = x, max_norm (p' - p) = e, max_norm C2 = z &
        max_norm (B^T *m (C1^T *m p' *m C2) - B^T *m (C1^T *m p *m C2))
        = (L.+1 * M.+1 * d.+1)%:R * (b * (x * e * z))].
Proof.
move=> b0 x0 e0 z0; exists (const_mx b), (const_mx x), (const_mx z), 0, (const_mx e).
rewrite !subr0 !mulmx0 mul0mx mulmx0 subr0 !trmx_const !mul_const.
rewrite !max_norm_const ?mulr_ge0 ?ler0n //; split=> //.
by rewrite !natrM -shuffle -!mulrA.
Qed.

(** Theorem 3.1: corrected. The factor L M d of the gradient in B is attained. *)
Theorem gradient_B_error_sharp r (b x e z : R) : 0 <= b -> 0 <= x -> 0 <= e -> 0 <= z ->
  exists (A : 'M[R]_(r.+1, d.+1)) (C1 : 'M[R]_(L.+1, d.+1)) (C2 : 'M[R]_(M.+1, d.+1))
      (p p' : 'M[R]_(L.+1, M.+1)),
    [/\ max_norm A = b, max_norm C1 = x, max_norm (p' - p) = e, max_norm C2 = z &
        max_norm ((C1^T *m p' *m C2) *m A^T - (C1^T *m p *m C2) *m A^T)
        = (L.+1 * M.+1 * d.+1)%:R * (b * (x * e * z))].
Proof.
move=> b0 x0 e0 z0; exists (const_mx b), (const_mx x), (const_mx z), 0, (const_mx e).
rewrite !subr0 !mulmx0 !mul0mx subr0 !trmx_const !mul_const.
rewrite !max_norm_const ?mulr_ge0 ?ler0n //; split=> //.
by rewrite !natrM -shuffle [_ * b]mulrC -!mulrA.
Qed.

(** Theorem B.1: corrected. The factor L M of the gradient in W_K is attained. *)
Theorem key_gradient_error_sharp m n (x e z : R) : 0 <= x -> 0 <= e -> 0 <= z ->
  exists (XK : 'M[R]_(M.+1, m.+1)) (Q : 'M[R]_(L.+1, n.+1)) (p p' : 'M[R]_(L.+1, M.+1)),
    [/\ max_norm XK = x, max_norm (p' - p) = e, max_norm Q = z &
        max_norm (XK^T *m p'^T *m Q - XK^T *m p^T *m Q) = (L.+1 * M.+1)%:R * (x * e * z)].
Proof.
move=> x0 e0 z0; exists (const_mx x), (const_mx z), 0, (const_mx e).
rewrite !subr0 trmx0 mulmx0 mul0mx subr0 !trmx_const !mul_const.
rewrite !max_norm_const ?mulr_ge0 ?ler0n //.
by split=> //; rewrite natrM -!mulrA.
Qed.

(** Theorem B.1: corrected. The bound of the gradient in W_V is attained. *)
Theorem value_gradient_error_sharp m (x a e v g : R) :
  0 <= x -> 0 <= a -> 0 <= e -> 0 <= v -> 0 <= g ->
  exists (X : 'M[R]_(M.+1, m.+1)) (f f' : 'M[R]_(L.+1, M.+1)) (c c' : 'M[R]_(L.+1, d.+1)),
    [/\ max_norm X = x, max_norm f = a, max_norm (f' - f) = e, max_norm c = v &
        max_norm (c' - c) = g] /\
    max_norm (X^T *m (f'^T *m c') - X^T *m (f^T *m c))
    = M.+1%:R * (x * (L.+1%:R * (e * v + (a + e) * g))).
Proof.
move=> x0 a0 e0 v0 g0.
exists (const_mx x), (const_mx a), (const_mx (a + e)), (const_mx v), (const_mx (v + g)).
have -> : e * v + (a + e) * g = (a + e) * (v + g) - a * v.
  apply/eqP; rewrite eq_sym subr_eq mulrDr [(a + e) * v]mulrDl.
  by rewrite [X in _ == X]addrC addrA.
rewrite !trmx_const !mul_const !sub_const [a + e - a]addrC addKr [v + g - v]addrC addKr.
rewrite -!mulrBr !max_norm_const //; do ?[exact: ler0n | assumption | apply: mulr_ge0].
by rewrite subr_ge0 ler_pmul // ?ler_addl.
Qed.

End Sharpness.
