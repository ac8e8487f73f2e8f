"""The third parties that can be judged by name."""

from __future__ import annotations

from collections.abc import Mapping

from loracle.adapters.adapter import Adapter
from loracle.declaration import Declaration
from loracle.errors import UsageError, nearest

__all__ = ["ADAPTERS", "find_adapter"]

_HERE = "loracle.adapters"
_TORCH = 'pip install "torch>=2.6"'
_PEFT = 'pip install "peft>=0.17"'
_LORALIB = 'pip install "loralib>=0.1.2"'
_LITGPT = 'pip install "litgpt>=0.5.13"'
_JAX = 'pip install "jax>=0.10" "flax>=0.12"'
_MLX = 'pip install "mlx[cpu]" mlx-lm'
_UNSLOTH = "pip install --no-deps unsloth unsloth_zoo triton (or LORACLE_UNSLOTH=FOLDER, see docs)"
_AXOLOTL = "pip install --no-deps axolotl bitsandbytes triton (or LORACLE_AXOLOTL=FOLDER, see docs)"

_UNSLOTH_PACKAGES = ("unsloth", "unsloth_zoo", "triton", "torch")
_AXOLOTL_PACKAGES = ("axolotl", "bitsandbytes", "triton", "torch")

_ALL_DTYPES = ("float64", "float32", "bfloat16", "float16")
_THREE_AXES = Declaration(unsupported=("two-dimensional", "four-dimensional"))
_DEALT = "The rows of W and B are dealt to q, k and v."
_OVERWRITES = "inplace=True, its default: the backward writes the gradient of x into x."


def _linear(
    name: str,
    place: str,
    packages: tuple[str, ...],
    install: str,
    description: str,
    *,
    mha: str = "",
    remark: str = "",
    declaration: Declaration | None = None,
    unsupported_on: Mapping[str, tuple[str, ...]] | None = None,
) -> Adapter:
    """An adapter for `lora-linear`, and for `lora-mha` where `mha` is given: module:function in
    this package."""
    contracts = {"lora-linear": f"{_HERE}.{place}"}
    return Adapter(
        name=name,
        packages=packages,
        contracts={**contracts, "lora-mha": f"{_HERE}.{mha}"} if mha else contracts,
        install=install,
        description=description,
        remark=remark,
        declaration=declaration or Declaration(),
        unsupported_on=unsupported_on or {},
    )


_ALL = (
    _linear(
        "peft",
        "peft_linear:lora_linear",
        ("peft", "torch"),
        _PEFT,
        "peft.tuners.lora.Linear around torch.nn.Linear",
    ),
    _linear(
        "peft-rslora",
        "peft_linear:rank_stabilised",
        ("peft", "torch"),
        _PEFT,
        "the same with use_rslora, alpha / sqrt(r)",
    ),
    _linear(
        "peft-dora",
        "peft_linear:dora",
        ("peft", "torch"),
        _PEFT,
        "the same with use_dora, at twice the norms",
        remark=(
            "The norm is detached: its gradients are m/n times those of LoRA, as judged, and not"
            " the derivatives of its own output. A case with a zero row of W + s B A is declined."
        ),
    ),
    _linear(
        "loralib",
        "loralib_linear:lora_linear",
        ("loralib", "torch"),
        _LORALIB,
        "loralib.Linear",
    ),
    _linear(
        "loralib-merged",
        "loralib_merged:lora_linear",
        ("loralib", "torch"),
        _LORALIB,
        "loralib.MergedLinear",
        remark=_DEALT,
    ),
    _linear(
        "litgpt",
        "litgpt_linear:lora_linear",
        ("litgpt", "torch"),
        _LITGPT,
        "litgpt.lora.LoRALinear",
    ),
    _linear(
        "litgpt-qkv",
        "litgpt_linear:fused_lora_linear",
        ("litgpt", "torch"),
        _LITGPT,
        "litgpt.lora.LoRAQKVLinear",
        mha="litgpt_linear:fused_lora_mha",
        remark=f"{_DEALT} Its convolution wants batch, length and width.",
        declaration=_THREE_AXES,
    ),
    _linear(
        "torchtune",
        "torchtune_linear:lora_linear",
        ("torchtune", "torchao", "torch"),
        'pip install "torchtune>=0.6.1" "torchao>=0.16"',
        "torchtune.modules.peft.LoRALinear",
    ),
    _linear(
        "unsloth",
        "unsloth_lora:lora_linear",
        _UNSLOTH_PACKAGES,
        _UNSLOTH,
        "LoRA_W of unsloth/kernels/fast_lora.py",
        remark="x has batch, length and width.",
        declaration=_THREE_AXES,
    ),
    *(
        _linear(
            f"unsloth-{name}",
            f"unsloth_lora:{function}",
            _UNSLOTH_PACKAGES,
            _UNSLOTH,
            f"{what} of unsloth/kernels/fast_lora.py",
            mha=f"unsloth_lora:{mha}" if mha else "",
            remark=remark,
            declaration=_THREE_AXES,
        )
        for name, function, mha, what, remark in (
            ("qkv", "qkv", "qkv_mha", "LoRA_QKV, inplace=False,", _DEALT),
            (
                "qkv-inplace",
                "qkv_inplace",
                "qkv_mha_inplace",
                "LoRA_QKV",
                f"{_DEALT} {_OVERWRITES}",
            ),
            (
                "mlp-gate-up",
                "mlp_gate_up",
                "",
                "gate and up of LoRA_MLP, inplace=False,",
                "The rows of W and B are dealt to gate and up; the activation is ours, down is I.",
            ),
            (
                "mlp-gate-up-inplace",
                "mlp_gate_up_inplace",
                "",
                "gate and up of LoRA_MLP",
                _OVERWRITES,
            ),
            (
                "mlp-down",
                "mlp_down",
                "",
                "down of LoRA_MLP, inplace=False,",
                "gate is I, and the activation, which is ours, passes it on.",
            ),
            ("mlp-down-inplace", "mlp_down_inplace", "", "down of LoRA_MLP", _OVERWRITES),
        )
    ),
    _linear(
        "axolotl-o",
        "axolotl_lora:lora_linear",
        _AXOLOTL_PACKAGES,
        _AXOLOTL,
        "LoRA_O of axolotl/kernels/lora.py",
        remark="x has batch, length and width.",
        declaration=_THREE_AXES,
    ),
    _linear(
        "axolotl-qkv",
        "axolotl_lora:qkv",
        _AXOLOTL_PACKAGES,
        _AXOLOTL,
        "LoRA_QKV of axolotl/kernels/lora.py",
        mha="axolotl_lora:qkv_mha",
        remark=f"{_DEALT} x has batch, length and width.",
        declaration=_THREE_AXES,
    ),
    _linear(
        "flax",
        "flax_linear:lora_linear",
        ("flax", "jax", "torch"),
        _JAX,
        "flax.nnx.LoRALinear, by way of numpy",
        remark="It has no scaling: s B takes the place of B.",
        unsupported_on={"cuda": _ALL_DTYPES},
    ),
    _linear(
        "mlx",
        "mlx_linear:lora_linear",
        ("mlx-lm", "mlx", "torch"),
        _MLX,
        "mlx_lm.tuner.lora.LoRALinear, by way of numpy",
        unsupported_on={"cuda": _ALL_DTYPES},
    ),
    *(
        Adapter(
            name=name,
            packages=("torch",),
            contracts={"lora-attention": f"{_HERE}.torch_sdpa:{function}"},
            install=_TORCH,
            description=f"scaled_dot_product_attention, {backend}",
            # CUDA has flash kernels for 16-bit dtypes alone, the CPU for all.
            unsupported_on={"cuda": ("float64", "float32")} if "flash" in name else {},
        )
        for name, function, backend in (
            ("torch-sdpa", "default_backend", "the backend chosen by torch"),
            ("torch-sdpa-math", "math_backend", "math backend"),
            ("torch-sdpa-flash", "flash_backend", "flash backend"),
        )
    ),
    Adapter(
        name="torch-flex",
        packages=("torch",),
        contracts={"lora-mha": f"{_HERE}.torch_flex:lora_mha"},
        install=_TORCH,
        description="torch.nn.attention.flex_attention, not compiled",
        outputs_on={"cpu": ("output",)},
        remark="On the CPU it has no backward.",
    ),
    Adapter(
        name="jax-pallas",
        packages=("jax", "torch"),
        contracts={"lora-attention": f"{_HERE}.jax_pallas:lora_attention"},
        install=_JAX,
        description="jax.experimental.pallas.ops.gpu.attention.mha, interpreted",
        declaration=Declaration(unsupported=("float64",)),
        unsupported_on={"cuda": _ALL_DTYPES},
        remark="It works in float32 whatever it is given.",
    ),
    *(
        Adapter(
            name=f"transformers-{model}{'' if implementation == 'sdpa' else '-eager'}",
            packages=("transformers", "peft", "torch"),
            contracts={
                "lora-mha": f"{_HERE}.transformers_attention:{model}_{implementation}",
            },
            install='pip install "transformers>=5" "peft>=0.17"',
            description=f"{layer}, {implementation}, adapted by peft",
            # All but BERT's take the softmax in float32.
            declaration=Declaration(
                unsupported=("float64",) if implementation == "eager" and model != "bert" else ()
            ),
            remark="Its softmax is in float32."
            if implementation == "eager" and model != "bert"
            else "",
        )
        for model, layer in (
            ("llama", "LlamaAttention"),
            ("mistral", "MistralAttention"),
            ("qwen2", "Qwen2Attention"),
            ("opt", "OPTAttention"),
            ("bert", "BertSelfAttention"),
        )
        for implementation in ("sdpa", "eager")
    ),
    Adapter(
        name="autograd",
        packages=("torch",),
        contracts={
            "lora-linear": f"{_HERE}.autograd:lora_linear",
            "lora-attention": f"{_HERE}.autograd:lora_attention",
            "aloragc": f"{_HERE}.autograd:aloragc",
            "lora-mha": f"{_HERE}.autograd:lora_mha",
        },
        install=_TORCH,
        description="plain torch operations, differentiated by torch.autograd",
    ),
)

ADAPTERS: Mapping[str, Adapter] = {adapter.name: adapter for adapter in _ALL}
"""The adapters by name."""


def find_adapter(name: str) -> Adapter:
    """The adapter called `name`; raises UsageError with the nearest names if there is none."""
    if name in ADAPTERS:
        return ADAPTERS[name]
    raise UsageError(
        f"{name!r} is no adapter (`loracle adapters` lists them) and has no"
        f" ':' as package.module:name and path/to/file.py:name have{nearest(name, ADAPTERS)}"
    )
