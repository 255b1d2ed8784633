"""What of the paper is misprinted, and what of it is read how."""

ERRATA = (
    (
        "Section 2.2",
        "D ≤ 1 is said to imply α ≤ ½·1/max{K₁, K₂}, which is 5e-5, and then α ≤ 1e-4. "
        "Eq. 7 gives α ≤ 2/max{K₁, K₂} = 2e-4.",
    ),
    (
        "Section 2.2",
        "its first sentence sets out to show “the instability of GD/IGD”; GD/SGD is meant. Adam runs for “a "
        "maximum 10⁷ epochs” and fails “even after a million”.",
    ),
    (
        "Algorithm 1",
        "`while k ≤ K₁` makes K₁ + 1 inner updates, of which the last is not used: θₙ₊₁ is θ̃ after K₁.",
    ),
    (
        "Theorem 1",
        "a_r uniform on an interval [−1, 1] has 𝔼a² = ⅓, which Eq. 17 lacks: its H^∞ is for a_r = ±1.",
    ),
    ("Eq. 26", "∇L(θⁿ) should be ∇L(θⁿ⁺¹), as in Eq. 11 and the line before it."),
    ("Appendix C.2", "MNIST's images have 28×28 = 784 pixels, not 24×24."),
    ("Table 2", "0.012, SGD with all images at α = 10, is far below chance, which is 0.1."),
    (
        "Appendix C.2",
        "“the same level of accuracy as SGD and Adam for small learning rates and small batch sizes” is not "
        "what Table 2 has: 0.903 against Adam's 0.966 at α = 0.001, b = 32.",
    ),
)

READINGS = (
    (
        "`isgd_adam` makes K₁ inner updates of L + ‖θ − θₙ‖²/2α, Algorithm 1's objective over α. Adam "
        "does not see the factor but for its ε, which acts 1/α times as it would; the learning rate γ of "
        "another inner solver, such as SGD, means α times as much."
    ),
    (
        "By default `isgd_adam` also rejects a step that raises the loss; the benchmarks switch that off "
        "(`safeguard=False`). Inside “ISGD, L-BFGS” the inner loop stops at a relative residual of 1e-3."
    ),
    (
        "γ and η are equal, K₁ is 100, and Table 1's totals are split as stated with each figure: the "
        "paper gives none of these."
    ),
    (
        "“ISGD, L-BFGS” of figures 5 and 6 and of the 1-D sweep was recorded with more of its budget in "
        "implicit steps than “ISGD, Adam”; since then both have the same split."
    ),
    (
        "Random points and mini-batches were recorded with a key from which the network was initialised, "
        "too (not so Theorem 1's, nor points on a grid): they are uniform, but not independent of its "
        "first layer. New runs have a key apart."
    ),
)
