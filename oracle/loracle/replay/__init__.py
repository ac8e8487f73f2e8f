"""`loracle replay`: a finding of a saved report, again."""
