"""Programs that show Twinlens at work with other people's software. `make examples` runs them; they need heavy environments."""
