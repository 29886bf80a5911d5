"""What a compliance officer needs: the register, proceedings, and a calendar of what is due."""
