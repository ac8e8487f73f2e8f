"""What decides a verdict: truth, proven bound, calibrated tolerance, bias, and the findings."""
