(** * Derivations of a commutative ring, applied to matrices entry by entry. *)

From mathcomp Require Import all_ssreflect all_algebra.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

(** <A, B>, the sum of the products of the entries. *)
Definition dot (R : ringType) m n (A B : 'M[R]_(m, n)) : R := \sum_i \sum_j A i j * B i j.

(** An additive map with the product rule. *)
Definition derivation (R : ringType) (D : R -> R) :=
  (forall x y, D (x + y) = D x + D y) /\ (forall x y, D (x * y) = D x * y + x * D y).

Section Dot.
Variable R : comRingType.

Lemma dotC m n (A B : 'M[R]_(m, n)) : dot A B = dot B A.
Proof. by apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite mulrC. Qed.

Lemma dotDr m n (A B C : 'M[R]_(m, n)) : dot A (B + C) = dot A B + dot A C.
Proof.
rewrite -big_split; apply: eq_bigr => i _; rewrite -big_split; apply: eq_bigr => j _.
by rewrite mxE mulrDr.
Qed.

Lemma dotDl m n (A B C : 'M[R]_(m, n)) : dot (A + B) C = dot A C + dot B C.
Proof. by rewrite dotC dotDr !(dotC C). Qed.

Lemma dotZr m n a (A B : 'M[R]_(m, n)) : dot A (a *: B) = a * dot A B.
Proof.
rewrite mulr_sumr; apply: eq_bigr => i _; rewrite mulr_sumr; apply: eq_bigr => j _.
by rewrite mxE mulrCA.
Qed.

Lemma dotZl m n a (A B : 'M[R]_(m, n)) : dot (a *: A) B = a * dot A B.
Proof. by rewrite dotC dotZr dotC. Qed.

Lemma dot0r m n (A : 'M[R]_(m, n)) : dot A 0 = 0.
Proof. by apply: big1 => i _; apply: big1 => j _; rewrite mxE mulr0. Qed.

Lemma dotNr m n (A B : 'M[R]_(m, n)) : dot A (- B) = - dot A B.
Proof. by rewrite -scaleN1r dotZr mulN1r. Qed.

Lemma dot_tr m n (A B : 'M[R]_(m, n)) : dot A^T B^T = dot A B.
Proof.
rewrite /dot exchange_big; apply: eq_bigr => i _; apply: eq_bigr => j _.
by rewrite !mxE.
Qed.

(** <A, B C> = <B^T A, C>. *)
Lemma dot_mull m n k (A : 'M[R]_(m, n)) (B : 'M[R]_(m, k)) (C : 'M[R]_(k, n)) :
  dot A (B *m C) = dot (B^T *m A) C.
Proof.
rewrite /dot exchange_big [RHS]exchange_big; apply: eq_bigr => j _ /=.
under eq_bigr do rewrite mxE mulr_sumr.
rewrite exchange_big; apply: eq_bigr => l _ /=; rewrite mxE mulr_suml.
by apply: eq_bigr => i _; rewrite mxE mulrCA mulrA.
Qed.

(** <A, B C> = <A C^T, B>. *)
Lemma dot_mulr m n k (A : 'M[R]_(m, n)) (B : 'M[R]_(m, k)) (C : 'M[R]_(k, n)) :
  dot A (B *m C) = dot (A *m C^T) B.
Proof. by rewrite -dot_tr trmx_mul dot_mull trmxK -(dot_tr _ B) trmx_mul trmxK. Qed.

(** A matrix is determined by its inner products: a gradient is unique. *)
Lemma dot_inj m n (G H : 'M[R]_(m, n)) : (forall X, dot G X = dot H X) -> G = H.
Proof.
move=> e; apply/matrixP=> i j; have := e (delta_mx i j).
have dE (K : 'M[R]_(m, n)) : dot K (delta_mx i j) = K i j.
  rewrite /dot (bigD1 i) //= (bigD1 j) //= !mxE !eqxx mulr1 !big1 ?addr0 // => [k ne | k ne].
    by apply: big1 => l _; rewrite mxE (negPf ne) mulr0.
  by rewrite mxE eqxx (negPf ne) mulr0.
by rewrite !dE.
Qed.

End Dot.

Section Derivation.
Variables (R : comUnitRingType) (D : R -> R).
Hypothesis D_derivation : derivation D.

Lemma D_add x y : D (x + y) = D x + D y. Proof. exact: D_derivation.1. Qed.
Lemma D_mul x y : D (x * y) = D x * y + x * D y. Proof. exact: D_derivation.2. Qed.

Lemma D_0 : D 0 = 0.
Proof. by apply: (addrI (D 0)); rewrite -D_add !addr0. Qed.

Lemma D_opp x : D (- x) = - D x.
Proof. by apply: (addrI (D x)); rewrite -D_add !subrr D_0. Qed.

Lemma D_1 : D 1 = 0.
Proof. by apply: (addrI (D 1)); rewrite addr0 -[in RHS](mulr1 1) D_mul mulr1 mul1r. Qed.

Lemma D_nat n : D n%:R = 0.
Proof. by elim: n => [|n IHn]; rewrite ?D_0 // mulrS D_add D_1 IHn addr0. Qed.

Lemma D_sum I (r : seq I) (F : I -> R) : D (\sum_(i <- r) F i) = \sum_(i <- r) D (F i).
Proof. by elim/big_rec2: _ => [|i x y _ <-]; rewrite ?D_0 ?D_add. Qed.

Lemma D_inv x : x \is a GRing.unit -> D x^-1 = - (x^-1 ^+ 2 * D x).
Proof.
move=> ux; apply: (mulrI ux); apply: (addrI (D x * x^-1)).
rewrite -D_mul mulrV // D_1 mulrN expr2 !mulrA mulrV // mul1r.
by rewrite (mulrC (D x)) subrr.
Qed.

Lemma D_inv_nat n : n%:R \is a @GRing.unit R -> D n%:R^-1 = 0.
Proof. by move=> un; rewrite D_inv // D_nat mulr0 oppr0. Qed.

(** ** On matrices *)

Definition dM m n (A : 'M[R]_(m, n)) : 'M[R]_(m, n) := map_mx D A.

(** A matrix of constants. *)
Definition constant m n (A : 'M[R]_(m, n)) := dM A = 0.

Lemma dM_add m n (A B : 'M[R]_(m, n)) : dM (A + B) = dM A + dM B.
Proof. by apply/matrixP=> i j; rewrite !mxE D_add. Qed.

Lemma dM_opp m n (A : 'M[R]_(m, n)) : dM (- A) = - dM A.
Proof. by apply/matrixP=> i j; rewrite !mxE D_opp. Qed.

Lemma dM_tr m n (A : 'M[R]_(m, n)) : dM A^T = (dM A)^T.
Proof. by apply/matrixP=> i j; rewrite !mxE. Qed.

Lemma dM_mul m n k (A : 'M[R]_(m, n)) (B : 'M[R]_(n, k)) :
  dM (A *m B) = dM A *m B + A *m dM B.
Proof.
apply/matrixP=> i j; rewrite !mxE D_sum -big_split; apply: eq_bigr => l _.
by rewrite D_mul !mxE.
Qed.

Lemma dM_scale m n a (A : 'M[R]_(m, n)) : D a = 0 -> dM (a *: A) = a *: dM A.
Proof. by move=> Da; apply/matrixP=> i j; rewrite !mxE D_mul Da mul0r add0r. Qed.

End Derivation.
