"""Layers of latents under a VampPrior."""

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_layers import GaussianLayers
from vae_lab.prior.hierarchical import Hierarchical
from vae_lab.prior.vamp import Vamp


class HierarchicalVamp(Hierarchical):
    """p(z) = p(z_1|z_2) ... p(z_(L-1)|z_L) (1/K) sum_k q(z_L|u_k): a VampPrior at the top of `Hierarchical`.

    It takes a posterior whose top layer is given the image alone, so that q(z_L|u_k) is one Gaussian.

    References: Tomczak, Welling, "VAE with a VampPrior", 2018, section 4, whose q(z_1|x, z_2) is a network of its own
    and not the product that `posterior=ladder` takes.

    Args:
      latent_shape: [latents], of all layers together.
      components: K.
      initialize: as of `Vamp`.
      image_shape: [H, W, C].
      train_images: float images [N,H,W,C] in [0, 1], or None.
      **layers: the other arguments of `Hierarchical`.
    """

    def __init__(self, latent_shape, components, initialize, image_shape, train_images, **layers):
        flat_size("prior=hierarchical_vamp", latent_shape)
        super().__init__(latent_shape, **layers)
        self.top = Vamp(self.sizes[-1:], components, initialize, image_shape, train_images)

    def distribution(self, posterior_of):
        top = self.top.distribution(lambda pseudo_inputs: posterior_of(pseudo_inputs).top())
        return GaussianLayers(self.sizes, [network.given for network in self.networks], downwards=True, first=top)
