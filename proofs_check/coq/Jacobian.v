(** * Lemma E.1: the Jacobians of vec(W + B A) in A and in B.

    W = W0 + B A with W0 of shape m x n, B of m x r and A of r x n. A Jacobian in A is a matrix J
    with vec(W0 + B (A + H)) - vec(W0 + B A) = J vec(H) for all H: the map is affine, so that no
    limit is needed. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Loracle Require Import Vec.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

Section Jacobians.
Variables (R : comRingType) (m n r : nat).
Variable W0 : 'M[R]_(m, n).
Implicit Types (A : 'M[R]_(r, n)) (B : 'M[R]_(m, r)) (G : 'M[R]_(m, n)).

Definition weight B A : 'M[R]_(m, n) := W0 + B *m A.

Definition jacobian_in_A B (J : 'M[R]_(m * n, r * n)) :=
  forall A H, vec (weight B (A + H)) - vec (weight B A) = J *m vec H.

Definition jacobian_in_B A (J : 'M[R]_(m * n, m * r)) :=
  forall B H, vec (weight (B + H) A) - vec (weight B A) = J *m vec H.

(** J_B = B (x) I_n and J_A = I_m (x) A^T. *)
Definition J_B B : 'M[R]_(m * n, r * n) := kron B 1%:M.
Definition J_A A : 'M[R]_(m * n, m * r) := kron 1%:M A^T.

Lemma vec_mul_A B A : vec (B *m A) = J_B B *m vec A.
Proof. by rewrite -tensor_trick trmx1 mulmx1. Qed.

Lemma vec_mul_B B A : vec (B *m A) = J_A A *m vec B.
Proof. by rewrite -tensor_trick trmxK mul1mx. Qed.

(** Lemma E.1: corrected. vec(W) = vec(W0) + J_B vec(A) with J_B = B (x) I. *)
Theorem weight_in_A B A : vec (weight B A) = vec W0 + J_B B *m vec A.
Proof. by rewrite vecD vec_mul_A. Qed.

(** Lemma E.1: corrected. vec(W) = vec(W0) + J_A vec(B) with J_A = I (x) A^T. *)
Theorem weight_in_B B A : vec (weight B A) = vec W0 + J_A A *m vec B.
Proof. by rewrite vecD vec_mul_B. Qed.

(** Lemma E.1: corrected. B (x) I is the Jacobian in A, and there is no other. *)
Theorem jacobian_in_A_unique B J : jacobian_in_A B J <-> J = J_B B.
Proof.
have d A H : vec (weight B (A + H)) - vec (weight B A) = J_B B *m vec H.
  by rewrite -vecB opprD addrACA subrr add0r mulmxDr addrAC subrr add0r vec_mul_A.
split=> [JP | -> A H]; last exact: d.
by apply: mulmx_cV_inj => x; rewrite -(matK x) -(d 0) JP.
Qed.

(** Lemma E.1: corrected. I (x) A^T is the Jacobian in B, and there is no other. *)
Theorem jacobian_in_B_unique A J : jacobian_in_B A J <-> J = J_A A.
Proof.
have d B H : vec (weight (B + H) A) - vec (weight B A) = J_A A *m vec H.
  by rewrite -vecB opprD addrACA subrr add0r mulmxDl addrAC subrr add0r vec_mul_B.
split=> [JP | -> B H]; last exact: d.
by apply: mulmx_cV_inj => x; rewrite -(matK x) -(d 0) JP.
Qed.

(** Lemma E.1: corrected. J_B^T vec(G) = vec(B^T G): the gradient in A for the gradient G in W. *)
Theorem pull_back_A B G : (J_B B)^T *m vec G = vec (B^T *m G).
Proof. by rewrite tr_kron trmx1 -tensor_trick trmx1 mulmx1. Qed.

(** Lemma E.1: corrected. J_A^T vec(G) = vec(G A^T): the gradient in B for the gradient G in W. *)
Theorem pull_back_B A G : (J_A A)^T *m vec G = vec (G *m A^T).
Proof. by rewrite tr_kron trmx1 trmxK -tensor_trick mul1mx. Qed.

End Jacobians.

(** ** The printed matrices: those of the column-major vec, which is [vec X^T] *)

Section ColumnMajor.
Variables (R : comRingType) (m n r : nat).
Variable W0 : 'M[R]_(m, n).
Implicit Types (A : 'M[R]_(r, n)) (B : 'M[R]_(m, r)).

(** Copies of B along the diagonal, one for each column of W. *)
Definition printed_J_B B : 'M[R]_(n * m, n * r) := kron 1%:M B.

(** The matrix whose block (k, i) is diag(A[i, k]). *)
Definition printed_J_A A : 'M[R]_(n * m, r * m) := kron A^T 1%:M.

(** Lemma E.1: corrected. The printed J_B is that of the vec that stacks columns. *)
Theorem printed_J_B_by_columns B A :
  vec (weight W0 B A)^T = vec W0^T + printed_J_B B *m vec A^T.
Proof. by rewrite /weight linearD /= vecD trmx_mul -tensor_trick mul1mx. Qed.

(** Lemma E.1: corrected. The printed J_A is that of the vec that stacks columns. *)
Theorem printed_J_A_by_columns B A :
  vec (weight W0 B A)^T = vec W0^T + printed_J_A A *m vec B^T.
Proof. by rewrite /weight linearD /= vecD trmx_mul -tensor_trick trmx1 mulmx1. Qed.

End ColumnMajor.
