"""A linear VAE is probabilistic PCA (Tipping, Bishop 1999; Lucas et al. 2019), whose maximum is known."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.config import compose, parts
from vae_lab.config.settings import settings_of
from vae_lab.data import idx
from vae_lab.data.dataset import Dataset, Split
from vae_lab.data.images import Images, run_images
from vae_lab.evaluation.elbo import ElboEvaluator
from vae_lab.run.program import new_program

LINEAR = (
    "encoder=linear",
    "decoder=linear",
    "likelihood=normal",
    "likelihood.scale=shared",
    "binarization=none",
    "likelihood.output_bias=train_mean",
)


class PPCA:
    """The maximum-likelihood solution for rows x [N,D] and `size` latents, in float64."""

    def __init__(self, x, size):
        self.mean = x.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(x.T, ddof=0))
        values, vectors = values[::-1], vectors[:, ::-1]
        self.variance = values[size:].mean()
        self.w = vectors[:, :size] * np.sqrt(values[:size] - self.variance)
        self.mean_log_likelihood = -0.5 * (
            x.shape[1] * np.log(2 * np.pi)
            + np.log(values[:size]).sum()
            + (x.shape[1] - size) * np.log(self.variance)
            + x.shape[1]
        )

    def rotated(self, seed):
        """W R for a random rotation R: the same density of x."""
        size = self.w.shape[1]
        return self.w @ np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]

    def log_likelihood(self, x):
        covariance = self.w @ self.w.T + self.variance * np.eye(len(self.w))
        residual = x - self.mean
        return -0.5 * (
            np.einsum("ni,ij,nj->n", residual, np.linalg.inv(covariance), residual)
            + np.linalg.slogdet(covariance)[1]
            + x.shape[1] * np.log(2 * np.pi)
        )


def inverse_softplus(y):
    return np.log(np.expm1(y))


def set_weights(model, ppca, w, features_bias):
    """Decoder W z + mean, the solution's variance, and an encoder whose loc is the posterior's mean."""
    m = w.T @ w + ppca.variance * np.eye(w.shape[1])
    to_mean = w @ np.linalg.inv(m)
    kernel, bias = model.encoder.weights
    rest = kernel.shape[1] - w.shape[1]
    kernel.assign(np.concatenate([to_mean, np.zeros((len(w), rest))], axis=1))
    bias.assign(np.concatenate([-ppca.mean @ to_mean, features_bias(m)]))
    kernel, bias = model.decoder.weights
    kernel.assign(w.T)
    bias.assign(ppca.mean)
    model.likelihood.raw_scale.assign(inverse_softplus(np.sqrt(ppca.variance) - model.likelihood.scale_floor))


@pytest.fixture(scope="module")
def digits_rows():
    from vae_lab.data import digits

    return digits.load(None, 0).train.pixels


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_full_covariance_meets_the_log_likelihood_at_any_rotation(program, digits_rows, seed, figure):
    x = digits_rows.reshape(-1, 64) / 16
    ppca = PPCA(x, 3)
    _, _, built = program(*LINEAR, "posterior=mvn_tril", "training.jit=false")

    def covariance_features(m):
        tril = np.linalg.cholesky(ppca.variance * np.linalg.inv(m))
        np.fill_diagonal(tril, inverse_softplus(np.diag(tril) - 1e-5))
        return tfp.math.fill_triangular_inverse(tf.constant(tril)).numpy()

    set_weights(built.model, ppca, ppca.rotated(seed), covariance_features)
    one_sample = ElboEvaluator(built.model, closed_form_rate=False, jit=False)
    elbo = one_sample(Images(digits_rows, 17), 1, seed)["elbo"]
    error = np.abs(elbo - ppca.log_likelihood(x)).max()
    figure(f"Largest |ELBO - log p| of a sample, full covariance, rotation {seed}, nats", error, "0 up to float32")
    np.testing.assert_allclose(elbo, ppca.log_likelihood(x), rtol=1e-5, atol=2e-3)  # every single sample
    assert elbo.mean() == pytest.approx(ppca.log_likelihood(x).mean(), abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_diagonal_covariance_loses_the_known_gap_at_rotated_weights(program, digits_rows, seed, figure):
    """Gap .5 (sum log diag M - log det M), M = W'W + sigma^2 I, by exact cubature over z."""
    x = digits_rows.reshape(-1, 64) / 16
    ppca = PPCA(x, 10)
    _, _, built = program(*LINEAR, "latent_size=10", "training.jit=false")
    w = ppca.rotated(seed)
    m = w.T @ w + ppca.variance * np.eye(10)

    def scale_features(m):
        return inverse_softplus(np.sqrt(ppca.variance / np.diag(m)) - 1e-5)

    set_weights(built.model, ppca, w, scale_features)
    images = tf.constant(digits_rows / np.float32(16))
    q = built.model.encode(images)
    steps = np.sqrt(10) * np.concatenate([np.eye(10), -np.eye(10)]).astype(np.float32)
    z = q.mean() + q.stddev() * steps[:, None, :]  # exact for quadratic functions of a Gaussian
    distortion = -built.model.decode(z).log_prob(images).numpy().astype(float).mean(axis=0)
    rate = tfp.distributions.kl_divergence(q, built.model.latent_prior()).numpy().astype(float)
    gap = 0.5 * (np.log(np.diag(m)).sum() - np.linalg.slogdet(m)[1])
    found = ppca.log_likelihood(x).mean() + (rate + distortion).mean()
    figure(f"log p - ELBO, diagonal covariance, rotation {seed}, nats", found, f"{gap:.6g} ± 1e-4")
    assert gap > 0.1
    assert found == pytest.approx(gap, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["analytic_kl", "monte_carlo"])
def test_a_trained_linear_vae_ends_at_the_maximum_and_never_above(estimator, data_dir, figure):
    """The first 1000 MNIST images, 20 latents: 331.6202 nats is the most that any linear VAE can reach."""
    images = idx.read_idx(idx.local_files("mnist", data_dir)[0])[:1000, ..., None]
    x = images.reshape(1000, -1) / 255
    maximum = PPCA(x, 20).mean_log_likelihood
    assert maximum == pytest.approx(331.6202, abs=1e-4)
    cfg = compose.compose(
        *LINEAR,
        "data=mnist",
        f"data.dir={data_dir}",
        f"estimator={estimator}",
        "latent_size=20",
        "training.batch_size=1000",
        "training.epochs=12000",
        "training.jit=true",
    )
    rows, settings = Split(images), settings_of(cfg)
    dataset = Dataset("mnist", 256, "", "", rows, rows[:0], rows)
    built = new_program(settings, run_images(dataset, parts.make(settings.options["binarization"])))
    for _ in built.trainer.train(tf.constant(images), 0, 12_000):
        pass
    elbo = built.elbo(Images(images, 256), 50, 0)["elbo"].mean()
    figure(f"Linear VAE on MNIST, {estimator}, mean train ELBO", elbo, f"331.1 to {maximum:.2f} (pPCA's maximum)")
    assert 331.1 <= elbo <= 331.63
