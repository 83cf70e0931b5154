"""The names of Streamlit's colours for badges. Colour never stands alone: a word and an icon go with it."""

from typing import Literal, TypeAlias

Color: TypeAlias = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]
