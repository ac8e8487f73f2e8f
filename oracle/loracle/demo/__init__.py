"""`loracle demo`: real third parties that are right, and two kernels that are wrong."""
