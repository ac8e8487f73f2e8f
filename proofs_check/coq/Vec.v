(** * Section 2: vectorization, matrixization, the Kronecker product, the tensor trick.

    Everything here counts from 0, the paper from 1: its (i-1)d + j, for i in [L] and j in [d], is
    [i * d + j] here. Entries are of any commutative ring. *)

From mathcomp Require Import all_ssreflect all_algebra.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory.
Local Open Scope ring_scope.

(** ** Positions: i n + j among m n places *)

Section Index.
Variables m n : nat.

Lemma idx_subproof (i : 'I_m) (j : 'I_n) : (i * n + j < m * n)%N.
Proof.
by apply: leq_trans (leq_mul (ltn_ord i) (leqnn n)); rewrite mulSn addnC ltn_add2r.
Qed.

(** The position of entry (i, j) of an m x n matrix. *)
Definition idx (i : 'I_m) (j : 'I_n) : 'I_(m * n) := Ordinal (idx_subproof i j).

Lemma idx_cols_gt0 (k : 'I_(m * n)) : (0 < n)%N.
Proof. by move: (leq_ltn_trans (leq0n k) (ltn_ord k)); rewrite muln_gt0 => /andP[]. Qed.

Lemma row_of_subproof (k : 'I_(m * n)) : (k %/ n < m)%N.
Proof. by rewrite ltn_divLR ?(idx_cols_gt0 k). Qed.

Lemma col_of_subproof (k : 'I_(m * n)) : (k %% n < n)%N.
Proof. by rewrite ltn_mod (idx_cols_gt0 k). Qed.

(** The row and the column of the entry that stands at position k. *)
Definition row_of (k : 'I_(m * n)) : 'I_m := Ordinal (row_of_subproof k).
Definition col_of (k : 'I_(m * n)) : 'I_n := Ordinal (col_of_subproof k).

Lemma row_idx i j : row_of (idx i j) = i.
Proof.
by apply: val_inj; rewrite /= divnMDl ?divn_small ?addn0 // (leq_ltn_trans _ (ltn_ord j)).
Qed.

Lemma col_idx i j : col_of (idx i j) = j.
Proof. by apply: val_inj; rewrite /= modnMDl modn_small. Qed.

Lemma idx_of k : idx (row_of k) (col_of k) = k.
Proof. by apply: val_inj; rewrite /= -divn_eq. Qed.

Lemma idx_eq i j i' j' : (idx i j == idx i' j') = (i == i') && (j == j').
Proof.
apply/eqP/andP=> [e | [/eqP-> /eqP-> //]].
by split; apply/eqP; [rewrite -(row_idx i j) e row_idx | rewrite -(col_idx i j) e col_idx].
Qed.

(** A sum over all positions is a sum over rows and columns. *)
Lemma sum_idx (V : zmodType) (F : 'I_(m * n) -> V) :
  \sum_k F k = \sum_i \sum_j F (idx i j).
Proof.
rewrite pair_bigA /= (reindex (fun ij => idx ij.1 ij.2)) //.
exists (fun k => (row_of k, col_of k)) => [[i j] _ | k _] /=; last exact: idx_of.
by rewrite row_idx col_idx.
Qed.

End Index.

(** ** vec and mat *)

Section Vec.
Variables (R : Type) (L d : nat).

(** vec(X): the rows of X one after another. *)
Definition vec (X : 'M[R]_(L, d)) : 'cV[R]_(L * d) := \col_k X (row_of k) (col_of k).

(** mat(x): the matrix whose rows, one after another, are x. *)
Definition mat (x : 'cV[R]_(L * d)) : 'M[R]_(L, d) := \matrix_(i, j) x (idx i j) 0.

Lemma vecE (X : 'M[R]_(L, d)) i j : vec X (idx i j) 0 = X i j.
Proof. by rewrite mxE row_idx col_idx. Qed.

(** Definition 2.1: as printed. X_{i,j} = vec(X)_{(i-1)d+j}. *)
Theorem vec_entry (X : 'M[R]_(L, d)) (i : 'I_L) (j : 'I_d) (k : 'I_(L * d)) :
  k = (i * d + j)%N :> nat -> X i j = vec X k 0.
Proof. by move=> e; rewrite -vecE; congr (vec X _ 0); apply: val_inj. Qed.

(** Definition 2.1: as printed. The index formula determines vec. *)
Theorem vec_unique (v : 'M[R]_(L, d) -> 'cV[R]_(L * d)) :
  (forall (X : 'M[R]_(L, d)) (i : 'I_L) (j : 'I_d) (k : 'I_(L * d)),
     k = (i * d + j)%N :> nat -> X i j = v X k 0) ->
  forall X, v X = vec X.
Proof.
move=> vP X; apply/colP=> k; rewrite -[k]idx_of vecE; symmetry; exact: vP.
Qed.

(** Definition 2.2: corrected. X_{i,j} = mat(x)_{i,j} = x_{(i-1)d+j}; the index of mat(x) is
    missing. *)
Theorem mat_entry (x : 'cV[R]_(L * d)) (i : 'I_L) (j : 'I_d) (k : 'I_(L * d)) :
  k = (i * d + j)%N :> nat -> mat x i j = x k 0.
Proof. by move=> e; rewrite mxE; congr (x _ 0); apply: val_inj. Qed.

(** Definition 2.2: as printed. mat = vec^-1. *)
Theorem vecK : cancel vec mat.
Proof. by move=> X; apply/matrixP=> i j; rewrite mxE vecE. Qed.

(** Definition 2.2: as printed. mat = vec^-1. *)
Theorem matK : cancel mat vec.
Proof. by move=> x; apply/colP=> k; rewrite -[k]idx_of vecE mxE. Qed.

Lemma vec_inj : injective vec. Proof. exact: can_inj vecK. Qed.

End Vec.

Section VecLinear.
Variables (R : ringType) (L d : nat).
Implicit Types X Y : 'M[R]_(L, d).

Lemma vecD X Y : vec (X + Y) = vec X + vec Y.
Proof. by apply/colP=> k; rewrite !mxE. Qed.

Lemma vecZ a X : vec (a *: X) = a *: vec X.
Proof. by apply/colP=> k; rewrite !mxE. Qed.

Lemma vecN X : vec (- X) = - vec X.
Proof. by apply/colP=> k; rewrite !mxE. Qed.

Lemma vecB X Y : vec (X - Y) = vec X - vec Y.
Proof. by rewrite vecD vecN. Qed.

Lemma vec0 : vec (0 : 'M[R]_(L, d)) = 0.
Proof. by apply/colP=> k; rewrite !mxE. Qed.

Lemma vec_sum I (r : seq I) (F : I -> 'M[R]_(L, d)) :
  vec (\sum_(i <- r) F i) = \sum_(i <- r) vec (F i).
Proof. by elim/big_rec2: _ => [|i x X _ <-]; rewrite ?vec0 ?vecD. Qed.

End VecLinear.

(** ** The Kronecker product *)

Section Kron.
Variables (R : comRingType) (La da Lb db : nat).
Implicit Types (A : 'M[R]_(La, da)) (B : 'M[R]_(Lb, db)) (X : 'M[R]_(da, db)).

(** A (x) B. *)
Definition kron A B : 'M[R]_(La * Lb, da * db) :=
  \matrix_(k, l) (A (row_of k) (row_of l) * B (col_of k) (col_of l)).

Lemma kronE A B ia ib ja jb : kron A B (idx ia ib) (idx ja jb) = A ia ja * B ib jb.
Proof. by rewrite mxE !row_idx !col_idx. Qed.

(** Definition 2.3: as printed. (A (x) B)_{(i_a-1)L_b+i_b, (j_a-1)d_b+j_b} = A_{i_a,j_a}
    B_{i_b,j_b}. *)
Theorem kron_entry A B (ia : 'I_La) (ib : 'I_Lb) (ja : 'I_da) (jb : 'I_db)
    (k : 'I_(La * Lb)) (l : 'I_(da * db)) :
  k = (ia * Lb + ib)%N :> nat -> l = (ja * db + jb)%N :> nat ->
  kron A B k l = A ia ja * B ib jb.
Proof. by move=> ek el; rewrite -kronE; congr (kron A B _ _); apply: val_inj. Qed.

(** Definition 2.3: as printed. The index formula determines the product. *)
Theorem kron_unique A B (K : 'M[R]_(La * Lb, da * db)) :
  (forall (ia : 'I_La) (ib : 'I_Lb) (ja : 'I_da) (jb : 'I_db)
          (k : 'I_(La * Lb)) (l : 'I_(da * db)),
     k = (ia * Lb + ib)%N :> nat -> l = (ja * db + jb)%N :> nat ->
     K k l = A ia ja * B ib jb) ->
  K = kron A B.
Proof.
move=> KP; apply/matrixP=> k l; rewrite -[k]idx_of -[l]idx_of kronE; exact: KP.
Qed.

(** C_j, the j-th block of Lb consecutive rows of C. *)
Definition sub_block n (C : 'M[R]_(La * Lb, n)) (j : 'I_La) : 'M[R]_(Lb, n) :=
  \matrix_(i, l) C (idx j i) l.

(** Definition 2.4: as printed. Block j of A (x) B has the rows (j-1)L_b+1 to j L_b. *)
Theorem sub_block_rows A B (j : 'I_La) (i : 'I_Lb) (k : 'I_(La * Lb)) :
  k = (j * Lb + i)%N :> nat -> row i (sub_block (kron A B) j) = row k (kron A B).
Proof.
move=> e; apply/rowP=> l; rewrite !mxE.
by have -> : k = idx j i by apply: val_inj.
Qed.

(** Lemma 2.1: as printed. vec(A X B^T) = (A (x) B) vec(X). *)
Theorem tensor_trick A X B : vec (A *m X *m B^T) = kron A B *m vec X.
Proof.
apply/colP=> k; rewrite -[k]idx_of vecE !mxE sum_idx exchange_big /=.
apply: eq_bigr => jb _; rewrite mxE mulr_suml; apply: eq_bigr => ja _.
by rewrite kronE vecE mxE mulrAC.
Qed.

(** Definition 2.4: as printed. C_j vec(X) is row j of A X B^T, as a column. *)
Theorem sub_block_vec A X B (j : 'I_La) :
  sub_block (kron A B) j *m vec X = (row j (A *m X *m B^T))^T.
Proof.
apply/colP=> i; rewrite [RHS]mxE [RHS]mxE -(vecE (A *m X *m B^T)) tensor_trick !mxE.
by apply: eq_bigr => l _; rewrite !mxE.
Qed.

End Kron.

Arguments sub_block {R La Lb n} C j.

Section KronAlgebra.
Variable R : comRingType.

Lemma tr_kron La da Lb db (A : 'M[R]_(La, da)) (B : 'M[R]_(Lb, db)) :
  (kron A B)^T = kron A^T B^T.
Proof. by apply/matrixP=> k l; rewrite !mxE. Qed.

(** C_j^T v, what a block contributes to a gradient: the matrix C1[j]^T v^T C2, as a vector. *)
Lemma tr_sub_block_mul La da Lb db (A : 'M[R]_(La, da)) (B : 'M[R]_(Lb, db)) j (v : 'cV_Lb) :
  (sub_block (kron A B) j)^T *m v = vec ((row j A)^T *m v^T *m B).
Proof.
apply/colP=> k; rewrite -[k]idx_of vecE !mxE; apply: eq_bigr => i _.
by rewrite !mxE big_ord1 !mxE !row_idx !col_idx mulrAC.
Qed.

(** A matrix is determined by what it does to all vectors. *)
Lemma mulmx_cV_inj m n (J K : 'M[R]_(m, n)) :
  (forall x : 'cV_n, J *m x = K *m x) -> J = K.
Proof.
move=> e; apply/matrixP=> i j.
by have /colP/(_ i) := e (delta_mx j 0); rewrite -!colE !mxE.
Qed.

End KronAlgebra.
