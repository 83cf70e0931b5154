"""x"""

f6 = f7 = f8 = f9 = None
