(** * Lemmas 3.1, 3.2 and F.1 to F.4: the gradients.

    Entries are of a commutative ring. f, q, p1, p2 and p have one row a query, L of them, and one
    column a key, M of them; the paper has M = L. Row j of each, as a column, is the paper's f_j,
    q_j, p_j.

    Differentiation is a derivation D of the ring of entries, an additive map with
    D(x y) = D(x) y + x D(y): for instance that of smooth functions along a curve or in a direction.
    What is asked of exp is that D(exp(s)) = exp(s) D(s) for the scores s at hand; what is constant
    has derivative 0. A gradient of the loss l in X is then the matrix G with D(l) = <G, D(X)>
    whatever D is, as far as X alone varies. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec Jacobian Permutation FaceSplitting Derivation.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

(** ** Definitions 3.2 to 3.6 *)

Section Definitions.
Variables (R : comUnitRingType) (L M d : nat).

(** alpha_j = <u_j, 1>. *)
Definition row_sums (u : 'M[R]_(L, M)) : 'cV[R]_L := \col_j \sum_l u j l.

(** f = D^-1 u, f_j = alpha_j^-1 u_j. *)
Definition normalize (u : 'M[R]_(L, M)) : 'M[R]_(L, M) :=
  \matrix_(j, l) ((row_sums u j 0)^-1 * u j l).

(** c = f C3 - Y. *)
Definition residual (f : 'M[R]_(L, M)) (C3 : 'M[R]_(M, d)) (Y : 'M[R]_(L, d)) : 'M[R]_(L, d) :=
  f *m C3 - Y.

(** q by rows: q_j is row j of c C3^T, which is column j of the printed C3 c^T. *)
Definition q_of (c : 'M[R]_(L, d)) (C3 : 'M[R]_(M, d)) : 'M[R]_(L, M) := c *m C3^T.

(** r_j = <f_j, q_j>. *)
Definition row_dots (f q : 'M[R]_(L, M)) : 'cV[R]_L := \col_j \sum_l (f j l * q j l).

Definition p1 (f q : 'M[R]_(L, M)) : 'M[R]_(L, M) := hadamard f q.
Definition p2 (f q : 'M[R]_(L, M)) : 'M[R]_(L, M) := \matrix_(j, l) (row_dots f q j 0 * f j l).
Definition p_of (f q : 'M[R]_(L, M)) : 'M[R]_(L, M) := p1 f q - p2 f q.

(** f_j, as a column. *)
Definition at_query (f : 'M[R]_(L, M)) (j : 'I_L) : 'cV[R]_M := (row j f)^T.

(** diag(f_j) - f_j f_j^T. *)
Definition softmax_jacobian (f : 'M[R]_(L, M)) (j : 'I_L) : 'M[R]_M :=
  diag_mx (row j f) - at_query f j *m (at_query f j)^T.

(** 1/2 || c ||_F^2. *)
Definition half_square (c : 'M[R]_(L, d)) : R := 2%:R^-1 * \sum_j \sum_i c j i ^+ 2.

End Definitions.

Section Queries.
Variables (R : comUnitRingType) (L M d : nat).
Variables (C1 : 'M[R]_(L, d)) (C2 : 'M[R]_(M, d)) (W : 'M[R]_d).

(** Definition 3.2: as printed. exp(C_j vec(W)) is row j of exp(C1 W C2^T), for any function exp. *)
Theorem u_of_query (exp : R -> R) (j : 'I_L) :
  map_mx exp (sub_block (kron C1 C2) j *m vec W) = at_query (map_mx exp (C1 *m W *m C2^T)) j.
Proof. by rewrite sub_block_vec; apply/colP=> l; rewrite !mxE. Qed.

(** Definition 3.3: as printed. alpha_j = <exp(C_j vec(W)), 1>. *)
Theorem alpha_of_query (exp : R -> R) (j : 'I_L) :
  row_sums (map_mx exp (C1 *m W *m C2^T)) j 0
  = \sum_l map_mx exp (sub_block (kron C1 C2) j *m vec W) l 0.
Proof. by rewrite u_of_query mxE; apply: eq_bigr => l _; rewrite !mxE. Qed.

(** Definition 3.4: as printed. f_j = alpha_j^-1 u_j, and D f = u for D = diag(u 1). *)
Theorem normalize_rows (u : 'M[R]_(L, M)) :
  (forall j, at_query (normalize u) j = (row_sums u j 0)^-1 *: at_query u j) /\
  ((forall j, row_sums u j 0 \is a GRing.unit) ->
   diag_mx (u *m const_mx 1 : 'cV_L)^T *m normalize u = u).
Proof.
split=> [j | unit_a]; first by apply/colP=> l; rewrite !mxE.
apply/matrixP=> j l; rewrite mul_diag_mx !mxE.
rewrite (eq_bigr (u j)) => [|l' _]; last by rewrite !mxE mulr1.
by have := unit_a j; rewrite mxE => a_unit; rewrite mulVKr.
Qed.

(** Definition 3.4: as printed. The entries of f_j sum to one. *)
Theorem normalize_sums (u : 'M[R]_(L, M)) j :
  row_sums u j 0 \is a GRing.unit -> row_sums (normalize u) j 0 = 1.
Proof.
move=> a_unit; rewrite mxE -[RHS](mulVr a_unit) [X in _ = _ * X]mxE mulr_sumr.
by apply: eq_bigr => l _; rewrite mxE.
Qed.

End Queries.

Section DoubleSum.
Variables (R : comUnitRingType) (L M d e : nat).
Variables (C1 : 'M[R]_(L, d)) (C2 : 'M[R]_(M, d)) (C3 : 'M[R]_(M, e)).
Variables (f : 'M[R]_(L, M)) (c : 'M[R]_(L, e)).
Let q := q_of c C3.

(** Definition 3.6: corrected. p_j = (diag(f_j) - f_j f_j^T) q_j is row j of p = p1 - p2, q_j being
    column j of the printed q = C3 c^T. *)
Theorem p_of_query (j : 'I_L) :
  at_query (p_of f q) j = softmax_jacobian f j *m col j (C3 *m c^T).
Proof.
have -> : col j (C3 *m c^T) = at_query q j.
  by rewrite /at_query /q /q_of tr_row trmx_mul trmxK.
apply/colP=> l; rewrite mulmxBl -mulmxA mul_diag_mx !mxE big_ord1 !mxE.
congr (_ - _); rewrite mulrC; congr (_ * _).
by apply: eq_bigr => l' _; rewrite !mxE.
Qed.

(** Definition 3.6: as printed. p1_j = diag(f_j) q_j. *)
Theorem p1_of_query (j : 'I_L) : at_query (p1 f q) j = diag_mx (row j f) *m at_query q j.
Proof. by apply/colP=> l; rewrite mul_diag_mx !mxE. Qed.

(** Definition 3.6: as printed. p2_j = f_j f_j^T q_j. *)
Theorem p2_of_query (j : 'I_L) :
  at_query (p2 f q) j = at_query f j *m (at_query f j)^T *m at_query q j.
Proof.
apply/colP=> l; rewrite -mulmxA !mxE big_ord1 !mxE mulrC; congr (_ * _).
by apply: eq_bigr => l' _; rewrite !mxE.
Qed.

(** The columns of C3, weighted by the entries of c_j, sum to q_j. *)
Lemma sum_columns (j : 'I_L) : \sum_i c j i *: col i C3 = at_query q j.
Proof.
apply/colP=> l; rewrite summxE !mxE; apply: eq_bigr => i _.
by rewrite !mxE.
Qed.

(** Lemma 3.1; Equation (3.5): as printed. The double sum is vec(C1^T p C2). *)
Theorem double_sum :
  \sum_j \sum_i c j i *: ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3)
  = vec (C1^T *m p_of f q *m C2).
Proof.
have e1 j : \sum_i c j i *: ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3)
    = vec ((row j C1)^T *m row j (p_of f q) *m C2).
  under eq_bigr do rewrite scalemxAr.
  rewrite -mulmx_sumr sum_columns -[LHS]mulmxA.
  have -> : softmax_jacobian f j *m at_query q j = at_query (p_of f q) j.
    by rewrite p_of_query; congr (_ *m _); rewrite /at_query /q /q_of tr_row trmx_mul trmxK.
  by rewrite tr_sub_block_mul trmxK.
rewrite (eq_bigr _ (fun j _ => e1 j)) -vec_sum -mulmx_suml; congr (vec (_ *m _)).
apply/matrixP=> i l; rewrite summxE !mxE; apply: eq_bigr => j _.
by rewrite !mxE big_ord1 !mxE.
Qed.

Section Adapters.
Variable r : nat.
Variables (A : 'M[R]_(r, d)) (B : 'M[R]_(d, r)).

(** Lemma E.1: corrected. The double sum with J_B = B (x) I in it is vec(B^T C1^T p C2). *)
Theorem double_sum_A :
  \sum_j \sum_i (J_B d B)^T *m
    (c j i *: ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3))
  = vec (B^T *m C1^T *m p_of f q *m C2).
Proof.
under eq_bigr do rewrite -mulmx_sumr.
by rewrite -mulmx_sumr double_sum pull_back_A !mulmxA.
Qed.

(** Lemma E.1: corrected. The double sum with J_A = I (x) A^T in it is vec(C1^T p C2 A^T). *)
Theorem double_sum_B :
  \sum_j \sum_i (J_A d A)^T *m
    (c j i *: ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3))
  = vec (C1^T *m p_of f q *m C2 *m A^T).
Proof.
under eq_bigr do rewrite -mulmx_sumr.
by rewrite -mulmx_sumr double_sum pull_back_B.
Qed.

(** Lemma F.3: corrected. For K, with T(d, d) and J_B = B (x) I: vec((C1^T p C2 B)^T). *)
Theorem double_sum_A_K :
  \sum_j \sum_i (T R d d *m J_B d B)^T *m
    (c j i *: ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3))
  = vec (B^T *m C2^T *m (p_of f q)^T *m C1).
Proof.
under eq_bigr do rewrite -mulmx_sumr.
by rewrite -mulmx_sumr double_sum pull_back_transposed_A !trmx_mul trmxK !mulmxA.
Qed.

(** Lemma F.3: corrected. For K, with T(d, d) and J_A = I (x) A^T: vec((A C1^T p C2)^T). *)
Theorem double_sum_B_K :
  \sum_j \sum_i (T R d d *m J_A d A)^T *m
    (c j i *: ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3))
  = vec (C2^T *m (p_of f q)^T *m C1 *m A^T).
Proof.
under eq_bigr do rewrite -mulmx_sumr.
by rewrite -mulmx_sumr double_sum pull_back_transposed_B !trmx_mul trmxK !mulmxA.
Qed.

End Adapters.
End DoubleSum.

(** ** The loss, differentiated *)

Section Differentiation.
Variables (R : comUnitRingType) (D : R -> R).
Hypothesis D_derivation : derivation D.
Hypothesis two_unit : 2%:R \is a @GRing.unit R.

Section Scores.
Variables (L M e : nat).
(** u = exp(S) and the values V, both variable; the labels Y, constant. *)
Variables (u S : 'M[R]_(L, M)) (V : 'M[R]_(M, e)) (Y : 'M[R]_(L, e)).
Hypothesis exp_rule : forall j l, D (u j l) = u j l * D (S j l).
Hypothesis sums_unit : forall j, row_sums u j 0 \is a GRing.unit.
Hypothesis Y_constant : constant D Y.

Let f := normalize u.
Let c := residual f V Y.
Let p := p_of f (q_of c V).

(** Proof of Lemma 3.1: as printed. Parts (I) and (II): the derivatives of u and alpha give
    D(f_jl) = f_jl (D(S_jl) - sum_m f_jm D(S_jm)). *)
Theorem normalize_derivative j l :
  D (f j l) = f j l * (D (S j l) - \sum_m f j m * D (S j m)).
Proof.
have a_unit := sums_unit j; set a := row_sums u j 0 in a_unit *.
have aE : a = \sum_l u j l by rewrite /a mxE.
have fE m : f j m = a^-1 * u j m by rewrite /f mxE.
have Da : D a = a * \sum_m f j m * D (S j m).
  rewrite {1}aE (D_sum D_derivation) mulr_sumr; apply: eq_bigr => m _.
  by rewrite exp_rule fE -mulrA mulVKr.
rewrite {1}fE (D_mul D_derivation) (D_inv D_derivation) // exp_rule Da expr2.
set t := \sum_m _; rewrite fE mulrBr addrC mulNr; congr (_ - _); first by rewrite mulrA.
rewrite -!mulrA; congr (_ * _); rewrite mulKr //.
by rewrite mulrC.
Qed.

(** <G, D(f)> is the inner product with D(S) of f o G - diag(<f_j, G_j>) f, for every G. *)
Lemma dot_normalize (G : 'M[R]_(L, M)) : dot G (dM D f) = dot (p_of f G) (dM D S).
Proof.
apply: eq_bigr => j _.
transitivity (\sum_l (f j l * G j l) * D (S j l)
              - (\sum_l f j l * G j l) * \sum_m f j m * D (S j m)).
  rewrite mulr_suml -sumrB; apply: eq_bigr => l _.
  by rewrite mxE normalize_derivative mulrBr mulrBr mulrCA mulrA mulrCA !mulrA.
rewrite mulr_sumr -sumrB; apply: eq_bigr => l _.
by rewrite !mxE mulrBl mulrA.
Qed.

Lemma half_square_derivative :
  D (half_square c) = dot c (dM D c).
Proof.
rewrite (D_mul D_derivation) (D_inv_nat D_derivation) // mul0r add0r (D_sum D_derivation) mulr_sumr.
apply: eq_bigr => j _; rewrite (D_sum D_derivation) mulr_sumr; apply: eq_bigr => i _.
rewrite expr2 (D_mul D_derivation) [D _ * _]mulrC -mulr2n -[X in _ * X]mulr_natl mulKr //.
by rewrite [dM _ _ _ _]mxE.
Qed.

(** Lemma 3.1: corrected. The gradient in the scores is p, the one in the values f^T c. *)
Theorem gradient_in_scores_and_values :
  D (half_square c) = dot p (dM D S) + dot (f^T *m c) (dM D V).
Proof.
rewrite half_square_derivative /c /residual (dM_add D_derivation) (dM_opp D_derivation).
rewrite Y_constant oppr0 addr0 (dM_mul D_derivation) dotDr dot_mulr dot_normalize.
by rewrite dot_mull.
Qed.

End Scores.

(** *** Problem 2: loss (3.3), C1, C2, C3 and Y constant *)

Section ProblemTwo.
Variables (L M d e r : nat).
Variables (C1 : 'M[R]_(L, d)) (C2 : 'M[R]_(M, d)) (C3 : 'M[R]_(M, e)) (Y : 'M[R]_(L, e)).
Hypotheses (C1_constant : constant D C1) (C2_constant : constant D C2).
Hypotheses (C3_constant : constant D C3) (Y_constant : constant D Y).
Variables (W : 'M[R]_d) (u : 'M[R]_(L, M)).
Let S := C1 *m W *m C2^T.
Hypothesis exp_rule : forall j l, D (u j l) = u j l * D (S j l).
Hypothesis sums_unit : forall j, row_sums u j 0 \is a GRing.unit.

Let f := normalize u.
Let c := residual f C3 Y.
Let p := p_of f (q_of c C3).
Let loss := half_square c.

Lemma dM_scores : dM D S = C1 *m dM D W *m C2^T.
Proof.
rewrite !(dM_mul D_derivation) C1_constant mul0mx add0r dM_tr C2_constant.
by rewrite trmx0 mulmx0 addr0.
Qed.

(** Lemma 3.1: as printed. dL/dW is the matrix C1^T p C2 whose vec is the double sum of (3.5). *)
Theorem gradient_in_W : D loss = dot (C1^T *m p *m C2) (dM D W).
Proof.
rewrite (gradient_in_scores_and_values C3 exp_rule sums_unit Y_constant) C3_constant dot0r addr0 dM_scores.
by rewrite dot_mulr dot_mull trmxK mulmxA.
Qed.

(** Lemma 3.1; Equation (3.5): as printed. D(loss) is the double sum against vec(D(W)). *)
Theorem gradient_in_W_by_queries :
  D loss = dot (\sum_j \sum_i c j i *:
                  ((sub_block (kron C1 C2) j)^T *m softmax_jacobian f j *m col i C3))
               (vec (dM D W)).
Proof.
rewrite gradient_in_W double_sum /dot sum_idx; apply: eq_bigr => i _; apply: eq_bigr => j _.
by rewrite big_ord1 !vecE.
Qed.

Variables (W0 : 'M[R]_d) (A : 'M[R]_(r, d)) (B : 'M[R]_(d, r)).
Hypotheses (W0_constant : constant D W0) (W_adapted : W = W0 + B *m A).

(** Lemma 3.2; Equation (3.6): corrected. dL/dA = B^T C1^T p C2, as printed; dL/dB = C1^T p C2 A^T,
    whose printed
    product p A C2 has no meaning; both at once, with row j of p the paper's p_j. *)
Theorem gradient_in_adapters :
  D loss = dot (B^T *m C1^T *m p *m C2) (dM D A) + dot (C1^T *m p *m C2 *m A^T) (dM D B).
Proof.
rewrite gradient_in_W W_adapted (dM_add D_derivation) W0_constant add0r (dM_mul D_derivation).
by rewrite dotDr dot_mulr dot_mull addrC !mulmxA.
Qed.

End ProblemTwo.

(** *** Problem 1 and Problem 3: adapters of Q, K and V

    W_mu = W_mu^* + s B_mu A_mu, scores beta (X_Q W_Q)(X_K W_K)^T, values X_V W_V. *)

Section ProblemThree.
Variables (L M d r : nat).
Variables (XQ : 'M[R]_(L, d)) (XK XV : 'M[R]_(M, d)) (Y : 'M[R]_(L, d)).
Variables (WQ0 WK0 WV0 : 'M[R]_d) (s beta : R).
Variables (AQ AK AV : 'M[R]_(r, d)) (BQ BK BV : 'M[R]_(d, r)).
Hypotheses (XQ_constant : constant D XQ) (XK_constant : constant D XK).
Hypotheses (XV_constant : constant D XV) (Y_constant : constant D Y).
Hypotheses (WQ0_constant : constant D WQ0) (WK0_constant : constant D WK0).
Hypotheses (WV0_constant : constant D WV0) (s_constant : D s = 0) (beta_constant : D beta = 0).

Definition adapted (W0 : 'M[R]_d) (B : 'M[R]_(d, r)) (A : 'M[R]_(r, d)) := W0 + s *: (B *m A).

Let WQ := adapted WQ0 BQ AQ.
Let WK := adapted WK0 BK AK.
Let WV := adapted WV0 BV AV.
Let S := beta *: (XQ *m WQ *m (XK *m WK)^T).
Let V := XV *m WV.
Variable u : 'M[R]_(L, M).
Hypothesis exp_rule : forall j l, D (u j l) = u j l * D (S j l).
Hypothesis sums_unit : forall j, row_sums u j 0 \is a GRing.unit.

Let f := normalize u.
Let c := residual f V Y.
Let p := p_of f (q_of c V).
Let loss := half_square c.

Let CQ2 := XK *m WK.
Let CK1 := XQ *m WQ.

(** Lemma F.1: corrected. With beta: dL/dW_Q = beta X_Q^T p (X_K W_K); dL/dW_K is the transpose of
    dL/d(W_K^T) = beta (X_Q W_Q)^T p X_K; dL/dW_V = X_V^T f^T c. *)
Theorem gradient_in_weights :
  D loss = dot (beta *: (XQ^T *m p *m CQ2)) (dM D WQ)
         + dot (beta *: (CK1^T *m p *m XK)^T) (dM D WK)
         + dot (XV^T *m f^T *m c) (dM D WV).
Proof.
rewrite (gradient_in_scores_and_values V exp_rule sums_unit Y_constant); congr (_ + _); last first.
  by rewrite (dM_mul D_derivation) XV_constant mul0mx add0r dot_mull mulmxA.
rewrite (dM_scale D_derivation) // dotZr (dM_mul D_derivation) dM_tr.
rewrite !(dM_mul D_derivation) XQ_constant XK_constant !mul0mx !add0r dotDr mulrDr !dotZl.
congr (beta * _ + beta * _).
  by rewrite dot_mulr dot_mull trmxK mulmxA.
by rewrite dot_mull -dot_tr trmxK dot_mull !trmx_mul !trmxK !mulmxA.
Qed.

Lemma dM_adapted (W0 : 'M[R]_d) B A : constant D W0 ->
  dM D (adapted W0 B A) = s *: (dM D B *m A + B *m dM D A).
Proof.
move=> W0c; rewrite (dM_add D_derivation) W0c add0r (dM_scale D_derivation) //.
by rewrite (dM_mul D_derivation).
Qed.

Lemma dot_adapted (G W0 : 'M[R]_d) B A : constant D W0 ->
  dot G (dM D (adapted W0 B A))
  = dot (s *: (B^T *m G)) (dM D A) + dot (s *: (G *m A^T)) (dM D B).
Proof.
by move=> W0c; rewrite dM_adapted // dotZr dotDr dot_mulr dot_mull !dotZl mulrDr addrC.
Qed.

(** Lemma F.4: corrected. All six gradients at once, for Q, for K and for V (which (S1) leaves out),
    with the constants s = alpha / r and beta. *)
Theorem gradient_in_all_adapters :
  D loss = dot ((s * beta) *: (BQ^T *m XQ^T *m p *m CQ2)) (dM D AQ)
         + dot ((s * beta) *: (XQ^T *m p *m CQ2 *m AQ^T)) (dM D BQ)
         + dot ((s * beta) *: (BK^T *m XK^T *m p^T *m CK1)) (dM D AK)
         + dot ((s * beta) *: (XK^T *m p^T *m CK1 *m AK^T)) (dM D BK)
         + dot (s *: (BV^T *m XV^T *m f^T *m c)) (dM D AV)
         + dot (s *: (XV^T *m f^T *m c *m AV^T)) (dM D BV).
Proof.
rewrite gradient_in_weights !dot_adapted // !addrA.
by rewrite -!scalemxAr -!scalemxAl !scalerA !trmx_mul !trmxK !mulmxA.
Qed.

End ProblemThree.
End Differentiation.

(** Lemma 3.2: corrected. The gradients are unique: what has the same inner product with every
    change is the same matrix. *)
Theorem gradient_unique (R : comRingType) m n (G H : 'M[R]_(m, n)) :
  (forall X, dot G X = dot H X) -> G = H.
Proof. exact: dot_inj. Qed.
