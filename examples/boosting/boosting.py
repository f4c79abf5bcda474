"""LightGBM with early stopping on scikit-learn's diabetes data."""

import lightgbm
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split


def train(learning_rate=0.1, num_leaves=31, min_child_samples=20, reg_lambda=0.0, rounds=200, seed=0, report=print):
    features, targets = load_diabetes(return_X_y=True)
    x, x_val, y, y_val = train_test_split(features, targets, random_state=0)
    model = lightgbm.LGBMRegressor(
        learning_rate=learning_rate,
        num_leaves=num_leaves,
        min_child_samples=min_child_samples,
        reg_lambda=reg_lambda,
        n_estimators=rounds,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    )
    model.fit(
        x,
        y,
        eval_set=[(x_val, y_val)],
        callbacks=[
            lambda env: report({name: value for _, name, value, *_ in env.evaluation_result_list}, env.model),
            lightgbm.early_stopping(20, verbose=False),
        ],
    )
    print(model.best_score_)


if __name__ == "__main__":
    train()
