"""Known ways to get a VAE wrong, each as a change of one place of the product, and the test that must catch it.

python tests/mutations.py

applies each to a copy of the product, runs that test there, and says whether it failed, as it must.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent
COPIED = ("vae_lab", "conf", "tests", "scripts", "hydra_plugins", "pyproject.toml")


class Mutation(NamedTuple):
    """A wrong variant."""

    file: str
    right: str
    wrong: str
    caught_by: str


MUTATIONS = {
    "KL counted twice": Mutation(
        "vae_lab/estimator/analytic_kl.py",
        "rate = tfp.distributions.kl_divergence(q, p)",
        "rate = 2 * tfp.distributions.kl_divergence(q, p)",
        "tests/test_estimator.py::test_analytic_kl_rate_equals_hand_formula",
    ),
    "KL times the batch size": Mutation(
        "vae_lab/estimator/analytic_kl.py",
        "rate = tfp.distributions.kl_divergence(q, p)",
        "rate = len(x) * tfp.distributions.kl_divergence(q, p)",
        "tests/test_estimator.py::test_terms_of_an_image_do_not_depend_on_its_batch",
    ),
    "mean over pixels instead of the sum": Mutation(
        "vae_lab/estimator/analytic_kl.py",
        "distortion = -tf.reduce_mean(model.decode(z).log_prob(x), axis=0)",
        "distortion = -tf.reduce_mean(model.decode(z).log_prob(x), axis=0) / x[0].shape.num_elements()",
        "tests/test_estimator.py::test_distortion_is_the_sum_of_cross_entropies_over_pixels",
    ),
    "log-variance taken as log-scale": Mutation(
        "vae_lab/numerics.py",
        "return floor + (tf.exp(tf.minimum(raw, LARGEST_LOG))",
        "return floor + (tf.exp(tf.minimum(0.5 * raw, LARGEST_LOG))",
        "tests/test_posterior.py::test_mvn_diag_scale_is_the_activation_of_its_features",
    ),
    "log-sum-exp of the mixture per dimension": Mutation(
        "vae_lab/prior/mixture.py",
        "return gaussian_mixture(self.logits.value, self._components())",
        "per_dimension = tfd.Categorical(logits=self.logits.value + 0 * self.loc.value[0][:, None])\n"
        "        normals = [self.loc.value, positive(self.raw_scale.value, self.scale_floor)]\n"
        "        normals = tfd.Normal(*map(keras.ops.transpose, normals))\n"
        "        return tfd.Independent(tfd.MixtureSameFamily(per_dimension, normals), 1)",
        "tests/test_prior.py::test_mixture_of_separated_components_is_the_near_one",
    ),
    "beta left on in the reported ELBO": Mutation(
        "vae_lab/estimator/objective.py",
        "elbo = -(rate + distortion)\n        return Terms(distortion",
        "elbo = -(self.beta * rate + distortion)\n        return Terms(distortion",
        "tests/test_estimator.py::test_elbo_is_minus_rate_plus_distortion_and_beta_weighs_the_loss_alone",
    ),
    "last block dropped in evaluation": Mutation(
        "vae_lab/evaluation/elbo.py",
        "tf.range(blocks_in(tf.shape(x)[0]))",
        "tf.range(tf.shape(x)[0] // IMAGE_BLOCK)",
        "tests/test_evaluation.py::test_elbo_of_an_image_does_not_depend_on_the_images_behind_it",
    ),
    "every block of images evaluated by the same noise": Mutation(
        "vae_lab/evaluation/elbo.py",
        "prior, seed, first + number)",
        "prior, seed, 0 * number)",
        "tests/test_evaluation.py::test_blocks_of_the_same_images_get_different_noise",
    ),
    "log K forgotten": Mutation(
        "vae_lab/evaluation/importance.py",
        "return total - math.log(samples)",
        "return total",
        "tests/test_evaluation.py::test_log_likelihood_meets_the_exact_one",
    ),
    "batches shuffled instead of samples": Mutation(
        "vae_lab/training.py",
        'order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed_for(seed, "shuffle", epoch))',
        "order = tf.range(rows)",
        "tests/test_training.py::test_every_row_is_visited_once_an_epoch_in_a_new_order",
    ),
    "one binarization for the whole training": Mutation(
        "vae_lab/training.py",
        'seed_for(seed, "binarize", step)',
        'seed_for(seed, "binarize", step % steps_per_epoch)',
        "tests/test_training.py::test_dynamic_pixels_are_drawn_anew_each_epoch",
    ),
    "components that start equal": Mutation(
        "vae_lab/prior/mixture.py",
        "initializer=keras.initializers.RandomNormal(stddev=loc_spread)",
        'initializer="zeros"',
        "tests/test_prior.py::test_mixture_components_that_start_apart_get_different_gradients",
    ),
    "score term left in": Mutation(
        "vae_lab/estimator/objective.py",
        "stop_gradient=True",
        "stop_gradient=False",
        "tests/test_importance_toy.py::test_sticking_the_landing_has_no_noise_at_the_exact_posterior",
    ),
    "weights not squared": Mutation(
        "vae_lab/estimator/doubly_reparameterized.py",
        "weight**2 * (log_weight - at_fixed)",
        "weight * (log_weight - at_fixed)",
        "tests/test_importance_toy.py::test_doubly_reparameterized_gradient_is_unbiased",
    ),
    "Renyi's bound divided by its order": Mutation(
        "vae_lab/estimator/renyi.py",
        "self.power = 1.0 - float(alpha)",
        "self.power = float(alpha)",
        "tests/test_bounds.py::test_renyi_tends_to_log_likelihood_less_the_divergence",
    ),
    "ELBO and importance-weighted bound swapped": Mutation(
        "vae_lab/estimator/combination_importance_weighted.py",
        "self.elbo_weight = float(elbo_weight)",
        "self.elbo_weight = 1.0 - float(elbo_weight)",
        "tests/test_bounds.py::test_combination_is_the_stated_one",
    ),
    "encoder's part of the prior pooled with the model's": Mutation(
        "vae_lab/estimator/partially_importance_weighted.py",
        "return model.encode(x, stop_gradient=True)",
        "return model.encode(x)",
        "tests/test_bounds.py::test_partially_importance_weighted_has_two_gradients",
    ),
    "thermodynamic integrand without its covariance": Mutation(
        "vae_lab/estimator/thermodynamic.py",
        "of_q = tf.tensordot(widths, covariance[:-1], 1)",
        "of_q = 0.0",
        "tests/test_bounds.py::test_thermodynamic_gradient_is_that_of_the_exact_left_sum",
    ),
    "test rows in the validation split": Mutation(
        "vae_lab/data/digits.py",
        "train, val = hold_out(training_file, validation_size)",
        "train, val = hold_out(everything, validation_size)",
        "tests/test_data.py::test_digits_splits_are_the_package_rows_in_order",
    ),
}


def copy_of_the_product(folder: Path) -> None:
    """Copies what the tests need into an empty folder."""
    for part in COPIED:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)


def outcome(mutation: Mutation | None, *tests: str) -> int:
    """Exit code of pytest for some tests on a (mutated) copy, in a process of its own.

    The process is a fork that finds TensorFlow imported, which saves seconds, and the product not yet.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_product(folder)
        if mutation is not None:
            path = folder / mutation.file
            text = path.read_text()
            if text.count(mutation.right) != 1:
                raise ValueError(f"{mutation.file} does not hold exactly once: {mutation.right}")
            path.write_text(text.replace(mutation.right, mutation.wrong))
        if (child := os.fork()) == 0:
            code = 3
            try:
                import pytest

                os.chdir(folder)
                sys.path.insert(0, str(folder))
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.dup2(nowhere, 2)
                code = pytest.main(["-x", "-p", "no:cacheprovider", *tests])
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    """Prints which mutations are caught; returns how many are not."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != CHECKOUT]
    import sklearn.datasets  # noqa: F401  imported once, for the forks
    import tensorflow_probability  # noqa: F401  imported once, for the forks

    if outcome(None, *{mutation.caught_by for mutation in MUTATIONS.values()}) != 0:
        print("the tests fail on the product as it is")
        return len(MUTATIONS)
    missed = 0
    for name, mutation in MUTATIONS.items():
        code = outcome(mutation, mutation.caught_by)
        missed += code != 1  # pytest's exit code for tests that ran and failed
        print(
            f"{name}: {'caught' if code == 1 else f'NOT CAUGHT (exit code {code})'} by {mutation.caught_by}", flush=True
        )
    return missed


if __name__ == "__main__":
    sys.exit(main())
