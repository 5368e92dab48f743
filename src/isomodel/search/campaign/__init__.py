"""Campaigns: hunts in supervised processes, whose crashes are findings and not the end."""
