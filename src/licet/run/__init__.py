"""What gets licet running: settings, the two engines, the supervisor and the command line."""
