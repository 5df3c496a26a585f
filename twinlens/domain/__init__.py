"""Plain types that every layer shares. Imports nothing of Twinlens but itself."""
