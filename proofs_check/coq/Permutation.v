(** * Lemma F.2: the matrix T(m, n) with vec(W^T) = T(m, n) vec(W), for W of shape m x n.

    Its size is printed as mn x mn; the rows are the positions of W^T, which has n rows of m
    entries, so that they are counted by n * m here, the same number. *)

From mathcomp Require Import all_ssreflect all_algebra all_fingroup.
From Loracle Require Import Vec Jacobian.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

Section Transposition.
Variables (R : comRingType) (m n : nat).
Implicit Type W : 'M[R]_(m, n).

(** T(m, n)[i, j] = 1 if i = (k-1)m + p and j = (p-1)n + k, else 0. *)
Definition T : 'M[R]_(n * m, m * n) :=
  \matrix_(i, j) ((row_of i == col_of j) && (col_of i == row_of j))%:R.

Lemma TE k p j : T (idx k p) j = (j == idx p k)%:R.
Proof.
rewrite mxE row_idx col_idx -{3}[j]idx_of idx_eq andbC.
by rewrite (eq_sym p) (eq_sym k).
Qed.

(** Lemma F.2: corrected. T(m, n)[i, j] = 1 if j = (p-1)n + k, else 0, for i = (k-1)m + p. *)
Theorem T_entry (k : 'I_n) (p : 'I_m) (i : 'I_(n * m)) (j : 'I_(m * n)) :
  i = (k * m + p)%N :> nat -> T i j = (j == p * n + k :> nat)%N%:R.
Proof. by move=> e; have -> : i = idx k p by [apply: val_inj]; rewrite TE. Qed.

(** Lemma F.2: corrected. vec(W^T) = T(m, n) vec(W). *)
Theorem T_transposes W : vec W^T = T *m vec W.
Proof.
apply/colP=> i; rewrite -[i]idx_of vecE !mxE (bigD1 (idx (col_of i) (row_of i))) //=.
rewrite TE eqxx mul1r vecE big1 ?addr0 // => j /negPf ne.
by rewrite TE ne mul0r.
Qed.

(** Lemma F.2: corrected. No other matrix does that. *)
Theorem T_unique (S : 'M[R]_(n * m, m * n)) :
  (forall W, vec W^T = S *m vec W) -> S = T.
Proof.
by move=> SP; apply: mulmx_cV_inj => x; rewrite -(matK x) -SP T_transposes.
Qed.

(** Where the entries of W^T come from. *)
Definition source (i : 'I_(n * m)) : 'I_(m * n) := idx (col_of i) (row_of i).

(** Lemma F.2: as printed. T is sparse: row i has its only one where [source] says. *)
Theorem T_row i j : T i j = (j == source i)%:R.
Proof. by rewrite -{1}[i]idx_of TE. Qed.

End Transposition.

Lemma sourceK m n : cancel (@source m n) (@source n m).
Proof. by move=> i; rewrite /source row_idx col_idx idx_of. Qed.

(** Lemma F.2: as printed. T is sparse: [source] is a bijection, so each column has one one. *)
Theorem source_bij m n : bijective (@source m n).
Proof. by exists (@source n m); apply: sourceK. Qed.

Section Inverse.
Variables (R : comRingType) (m n : nat).

(** Lemma F.2: corrected. T(m, n)^T = T(n, m). *)
Theorem tr_T : (T R m n)^T = T R n m.
Proof. by apply/matrixP=> i j; rewrite !mxE andbC (eq_sym (row_of i)) (eq_sym (col_of i)). Qed.

(** Lemma F.2: corrected. T(n, m) is the inverse of T(m, n). *)
Theorem T_inverse : T R n m *m T R m n = 1%:M.
Proof.
by apply: mulmx_cV_inj => x; rewrite -(matK x) mul1mx -mulmxA -!T_transposes trmxK.
Qed.

(** Lemma F.2: corrected. As a matrix of size mn x mn it is that of a permutation. *)
Theorem T_permutation :
  exists s : 'S_(m * n), castmx (mulnC n m, erefl) (T R m n) = perm_mx s.
Proof.
pose f (i : 'I_(m * n)) := source (cast_ord (mulnC m n) i).
have fI : injective f.
  by apply: inj_comp; [apply: can_inj (@sourceK m n) | apply: cast_ord_inj].
exists (perm fI); apply/matrixP=> i j; rewrite castmxE T_row !mxE permE /f.
by rewrite cast_ord_id eq_sym; congr ((source _ == _)%:R).
Qed.

(** Lemma F.2: corrected. A matrix W^T of entries in the places of T(m, n): the chain rule through
    a transposition, T(m, n)^T vec(G) = vec(G^T). *)
Theorem tr_T_vec (G : 'M[R]_(n, m)) : (T R m n)^T *m vec G = vec G^T.
Proof. by rewrite tr_T T_transposes. Qed.

End Inverse.

Lemma castmx_mul_col (R : ringType) a a' b b' (ea : a = a') (eb : b = b')
    (A : 'M[R]_(a, b)) (x : 'cV[R]_b) :
  castmx (ea, eb) A *m castmx (eb, erefl 1%N) x = castmx (ea, erefl 1%N) (A *m x).
Proof. by case: _ / ea; case: _ / eb; rewrite !castmx_id. Qed.

(** ** The printed entries *)

Section Printed.
Variables (R : comRingType) (m n : nat).

(** T(m, n) as printed: the entry (i, j) with i = (p-1)n + k is 1 if j = (k-1)m + p, else 0. *)
Definition printed_T : 'M[R]_(n * m, m * n) :=
  \matrix_(i, j) (j == (i %% n) * m + i %/ n :> nat)%N%:R.

(** Lemma F.2: corrected. The printed matrix is T(n, m), the transposed and inverse one. *)
Theorem printed_T_is_transposed :
  printed_T = castmx (mulnC m n, mulnC n m) (T R n m).
Proof.
apply/matrixP=> i j; rewrite castmxE T_row mxE.
by congr (_%:R).
Qed.

(** Lemma F.2: corrected. The printed T is right for the vec that stacks columns. *)
Theorem printed_T_by_columns (W : 'M[R]_(m, n)) :
  printed_T *m castmx (mulnC n m, erefl 1%N) (vec W^T) = castmx (mulnC m n, erefl 1%N) (vec W).
Proof.
have e : vec W = T R n m *m vec W^T by rewrite -T_transposes trmxK.
by rewrite printed_T_is_transposed [in RHS]e castmx_mul_col.
Qed.

End Printed.

(** Lemma F.2: as printed. For square W, the only use, printed and corrected matrix agree. *)
Theorem printed_T_square (R : comRingType) d : printed_T R d d = T R d d.
Proof.
rewrite printed_T_is_transposed; apply/matrixP=> i j; rewrite castmxE.
by congr (T R d d _ _); apply: val_inj.
Qed.

(** ** Lemma F.3: the chain rule from W_K^T to the adapters of W_K *)

Section Keys.
Variables (R : comRingType) (m n r : nat).
Implicit Types (A : 'M[R]_(r, n)) (B : 'M[R]_(m, r)) (G : 'M[R]_(n, m)).

(** Lemma F.3: corrected. (T(m, n) J_B)^T vec(G) = vec((G B)^T) for the gradient G in W^T. *)
Theorem pull_back_transposed_A B G : (T R m n *m J_B n B)^T *m vec G = vec (G *m B)^T.
Proof. by rewrite trmx_mul -mulmxA tr_T_vec pull_back_A trmx_mul. Qed.

(** Lemma F.3: corrected. (T(m, n) J_A)^T vec(G) = vec((A G)^T) for the gradient G in W^T. *)
Theorem pull_back_transposed_B A G : (T R m n *m J_A m A)^T *m vec G = vec (A *m G)^T.
Proof. by rewrite trmx_mul -mulmxA tr_T_vec pull_back_B trmx_mul. Qed.

End Keys.
