"""How good what a search hands over is: ours against Ray's and Optuna's own, replayed on recorded tables."""
