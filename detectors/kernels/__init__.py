"""Inner loops, compiled: walks over rows in order that NumPy has no operation for. They compute; nothing decides here.

Only IEEE operations in a fixed order (no fast-math), so results do not depend on the compiler. Logarithms and other
functions of the C library stay outside, in NumPy.
"""
