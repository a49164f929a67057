"""The contract of a part, as checks that a project calls on its own: the same that this package's parts pass.

    from vae_lab.testing import check_part

    def test_my_prior():
        check_part("prior", "mine", components=3)

A check raises AssertionError with one line that says what the part does wrong.
"""

from collections.abc import Callable
from typing import Any

from vae_lab.errors import UsageError
from vae_lab.testing import estimator, likelihood, networks, posterior, prior
from vae_lab.testing.combination import check_with_every_axis
from vae_lab.testing.trial import Trial, on_trial

Check = Callable[[Trial], None]
CHECKS: dict[str, tuple[Check, ...]] = {
    "encoder": networks.ENCODER,
    "decoder": networks.DECODER,
    "posterior": posterior.CHECKS,
    "prior": prior.CHECKS,
    "likelihood": likelihood.CHECKS,
    "estimator": estimator.CHECKS,
}


def check_part(axis: str, name: str, *, with_every_axis: bool = True, **settings: Any) -> None:
    """Checks a part against its role in `vae_lab.protocols` and the facts that its YAML states.

    Shapes; a gradient to every weight; density against sampler; the space that draws lie in; each stated fact,
    measured; the same numbers eagerly, as a graph and under XLA; saved weights. And the part trained for a few steps
    with every option of every other axis that it is legal with.

    Args:
      axis: encoder, decoder, posterior, prior, likelihood or estimator.
      name: of the option, the YAML's.
      with_every_axis: whether to train it too, which takes a minute.
      **settings: changes of the option's, as on the command line. What makes a part large is small by itself.

    Raises:
      AssertionError: what the part does wrong.
      UsageError: where there is no such axis or option.
    """
    if axis not in CHECKS:
        raise UsageError(f"check_part: axis={axis} is not one of: {', '.join(CHECKS)}")
    trial = on_trial(axis, name, settings)
    for check in CHECKS[axis]:
        run_check(check, trial)
    if with_every_axis:
        check_with_every_axis(axis, name)


def run_check(check: Check, trial: Trial) -> None:
    """Runs one check; an error that the part raises by itself says in a note what was asked of it."""
    try:
        check(trial)
    except AssertionError:
        raise
    except Exception as error:
        error.add_note(f"{trial.called}, while this was checked: {(check.__doc__ or '').splitlines()[0]}")
        raise
