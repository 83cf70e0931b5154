"""x"""

f4 = f10 = None
