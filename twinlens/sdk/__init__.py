"""The agent SDK: what runs inside the user's program. Imports nothing of the server and stays light."""
