"""What every other package may use: errors, reports, locks, state folders, signals, background work."""
