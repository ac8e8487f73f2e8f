"""Adapters: installed third-party code, made to speak a contract. Importing this needs no torch."""

from __future__ import annotations

from loracle.adapters.adapter import Adapter
from loracle.adapters.block import attention_block
from loracle.adapters.installed import installed_version
from loracle.adapters.registry import ADAPTERS, find_adapter

__all__ = ["ADAPTERS", "Adapter", "attention_block", "find_adapter", "installed_version"]
