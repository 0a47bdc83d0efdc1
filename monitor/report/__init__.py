"""Reports: what a backtest did, as one page that needs nothing else."""
