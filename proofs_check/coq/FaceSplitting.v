(** * The product that the proof of Lemma 3.6 needs.

    The proof prints the column-wise Kronecker product, column i of which is A[., i] (x) B[., i]:
    its shape is L^2 x k, not the L x k_1 k_2 that is printed beside it, and the identity that the
    proof uses is false for it ([Counterexamples]). Row by row both are right. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

(** The entrywise product. *)
Definition hadamard (R : ringType) m n (A B : 'M[R]_(m, n)) : 'M[R]_(m, n) :=
  \matrix_(i, j) (A i j * B i j).

(** The row-wise Kronecker, or face-splitting, product. *)
Definition face_splitting (R : ringType) n p q (A : 'M[R]_(n, p)) (B : 'M[R]_(n, q)) :
    'M[R]_(n, p * q) :=
  \matrix_(j, k) (A j (row_of k) * B j (col_of k)).

(** The column-wise Kronecker product, as printed. *)
Definition khatri_rao (R : ringType) m n k (A : 'M[R]_(m, k)) (B : 'M[R]_(n, k)) :
    'M[R]_(m * n, k) :=
  \matrix_(i, l) (A (row_of i) l * B (col_of i) l).

Section FaceSplitting.
Variable R : comRingType.

(** Proof of Lemma 3.6: corrected. Row j of the product is A[j] (x) B[j], of length k_1 k_2. *)
Theorem face_splitting_row n p q (A : 'M[R]_(n, p)) (B : 'M[R]_(n, q)) j (k : 'I_p) (l : 'I_q) :
  face_splitting A B j (idx k l) = kron (row j A) (row j B) (idx 0 0) (idx k l).
Proof. by rewrite kronE !mxE row_idx col_idx. Qed.

(** Proof of Lemma 3.6: corrected. (U_1 V_1^T) o (U_2 V_2^T) = (U_1 * U_2) (V_1 * V_2)^T, row-wise.
    *)
Theorem face_splitting_product L M k1 k2 (U1 : 'M[R]_(L, k1)) (V1 : 'M[R]_(M, k1))
    (U2 : 'M[R]_(L, k2)) (V2 : 'M[R]_(M, k2)) :
  hadamard (U1 *m V1^T) (U2 *m V2^T) = face_splitting U1 U2 *m (face_splitting V1 V2)^T.
Proof.
apply/matrixP=> i j; rewrite !mxE sum_idx mulr_suml; apply: eq_bigr => k _.
rewrite mulr_sumr; apply: eq_bigr => l _.
by rewrite !mxE !row_idx !col_idx mulrACA.
Qed.

(** Proof of Lemma 3.6: corrected. What the column-wise product does give: the identity that holds
    for it is about A^T C and B^T D. *)
Theorem khatri_rao_product m n k l (A : 'M[R]_(m, k)) (B : 'M[R]_(n, k))
    (C : 'M[R]_(m, l)) (D : 'M[R]_(n, l)) :
  (khatri_rao A B)^T *m khatri_rao C D = hadamard (A^T *m C) (B^T *m D).
Proof.
apply/matrixP=> i j; rewrite !mxE sum_idx mulr_suml; apply: eq_bigr => a _.
rewrite mulr_sumr; apply: eq_bigr => b _.
by rewrite !mxE !row_idx !col_idx mulrACA.
Qed.

(** Proof of Lemma 3.6: corrected. The two products are transposes of one another. *)
Theorem face_splitting_transposed n p q (A : 'M[R]_(n, p)) (B : 'M[R]_(n, q)) :
  face_splitting A B = (khatri_rao A^T B^T)^T.
Proof. by apply/matrixP=> i j; rewrite !mxE. Qed.

End FaceSplitting.
