"""How good retrieval and answers are, measured on test collections."""
