"""Prompt -> streamed answer; citations and grounding are made here, in code."""
