"""Which library is observed by what, and how that is switched on when the library is imported, not before."""
