"""Every kernel of this project, in every dtype that it supports."""

import loracle

LORA_LINEAR = "my_kernels.py:lora_linear"


@loracle.conformance(LORA_LINEAR, contract="lora-linear", dtype=["float32", "bfloat16"])
def test_lora_linear():
    """Its body may ask for more, of the `report` on each part."""
