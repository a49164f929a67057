"""Every part of this package passes the checks that `vae_lab.testing` offers a project, and broken parts do not."""

import sys
from pathlib import Path

import pytest

from vae_lab.config.options import option_names
from vae_lab.errors import UsageError
from vae_lab.posterior.mvn_diag import MVNDiag
from vae_lab.prior.mvn import MVN
from vae_lab.testing import CHECKS, check_part, combination, run_check
from vae_lab.testing.trial import Trial, on_trial

PROJECT = Path(__file__).resolve().parent / "broken"
sys.path.insert(0, str(PROJECT))

from broken_parts import Frozen, Leaky, Raw, Unused, Wide, WrongDensity, WrongEvent  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def project():
    """The broken parts are those of a project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_LAB_PROJECT", str(PROJECT))
        yield


CONV = {"filters": [3, 4], "kernels": [3, 3], "strides": [1, 2], "paddings": ["valid", "same"], "activation": "elu"}
# Other settings than the option's own, where those are slow or leave code untried.
FORMS = {
    ("encoder", "conv"): [CONV],
    ("encoder", "conv_deep"): [CONV],
    ("encoder", "conv_spatial"): [CONV | {"filters": [3], "paddings": ["same", "same"]}],
    ("encoder", "resnet"): [{"filters": [3, 4], "blocks": [1, 2], "activation": "elu"}],
    ("decoder", "conv"): [{"filters": [4, 3], "activation": "elu", "base": [7, 7, 5]}],
    ("decoder", "conv_spatial"): [{"filters": [4, 3, 3], "activation": "elu"}],
    ("decoder", "resnet"): [{"filters": [4, 3], "blocks": [2, 1], "activation": "elu"}],
    ("prior", "bernoulli"): [{}, {"learned": True}],
    ("prior", "categorical"): [{}, {"learned": True}],
    ("prior", "mixture"): [{}],
    ("likelihood", "normal"): [{}, {"scale": "shared"}, {"scale": "per_pixel", "loc_activation": "sigmoid"}],
    ("likelihood", "laplace"): [{}, {"scale": "shared"}, {"scale": "per_pixel", "loc_activation": "sigmoid"}],
    ("likelihood", "discretized_logistic"): [{}, {"scale": "shared"}, {"scale": "fixed"}],
}
OURS = [
    pytest.param(axis, name, settings, id=f"{axis}-{name}-{number}")
    for axis in CHECKS
    for name in option_names(axis)
    for number, settings in enumerate(FORMS.get((axis, name), [{}]))
]


@pytest.mark.slow
@pytest.mark.parametrize(("axis", "name", "settings"), OURS)
def test_every_part_of_ours_keeps_to_its_contract(axis, name, settings):
    check_part(axis, name, with_every_axis=False, **settings)


@pytest.mark.slow
def test_the_covering_set_of_one_option_holds_all_its_legal_pairs_and_trains():
    chosen = combination.combinations_with("prior", "mixture")
    met = {(axis, one) for each in chosen for axis, one in zip(combination.AXES, each, strict=True)}
    assert {name for axis, name in met if axis == "prior"} == {"mixture"}
    assert {name for axis, name in met if axis == "encoder"} == set(option_names("encoder"))
    assert {name for axis, name in met if axis == "posterior"} == {
        *("iaf", "mvn_diag", "mvn_tril", "planar", "spline", "sylvester")
    }
    assert len(chosen) < 25
    combination.train_and_evaluate(chosen[0], "prior=mixture")


# Broken parts: each is caught, in one line that says what is wrong.


def of(kind, axis="prior", like="mvn", **changes):
    """A trial of a class that is not in an option's file."""
    target = f"{kind.__module__}.{kind.__name__}"
    return Trial(axis, "mine", {**on_trial(axis, like).option, "name": "mine", "_target_": target, **changes})


def fault(trial):
    """What `check_part` says of it first."""
    for check in CHECKS[trial.axis]:
        try:
            run_check(check, trial)
        except AssertionError as error:
            return str(error)
    return "nothing"


BROKEN = {
    "made once": (
        lambda: of(Frozen, like="mvn_tril"),
        "gets no gradient; read it at each call, and make distributions in distribution(), not in __init__",
    ),
    "a raw variable": (lambda: of(Raw), "is no weight of it, so it is not trained; use add_weight"),
    "an unused weight": (lambda: of(Unused), "prior=mine: weight 'spare' gets no gradient"),
    "a wrong density": (lambda: of(WrongDensity), "prior=mine: samples do not agree with log_prob"),
    "a wrong event": (lambda: of(WrongEvent), "prior=mine: batch shape is (3,), not ()"),
    "a wrong space": (
        lambda: of(MVN, facts={"support": "sphere"}),
        "prior=mine: draws have not the length 1 of support: sphere",
    ),
    "a flat latent that is none": (
        lambda: of(MVN, facts={"flat_latent": True}),
        "prior=mine: its YAML states flat_latent, and it takes a grid",
    ),
    "a KL that is none": (
        lambda: of(MVNDiag, "posterior", "mvn_diag", facts={"closed_form_kl_with": ["mixture"], "fast_log_prob": True}),
        "posterior=mine: its YAML states closed_form_kl_with: mixture, and there is no such closed form",
    ),
    "a KL that is not stated": (
        lambda: of(MVNDiag, "posterior", "mvn_diag", facts={"closed_form_kl_with": [], "fast_log_prob": True}),
        "its YAML does not state closed_form_kl_with: mvn, and there is a closed form",
    ),
    "a gradient that is not stopped": (
        lambda: of(Leaky, "posterior", "mvn_diag"),
        "posterior=mine: with stop_gradient its log_prob still passes gradient",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_parts_are_caught_in_one_line(case):
    make, message = BROKEN[case]
    told = fault(make())
    assert message in told
    assert "\n" not in told


FALSE = [
    ("likelihood", "normal", {"discrete": True}, "facts", "its YAML states discrete: True, and its probabilities of"),
    ("likelihood", "bernoulli", {"discrete": True}, "facts", "its YAML does not state needs_binary_data"),
    ("estimator", "importance_weighted", {"weighs_rate": True}, "weighs_rate", "its YAML states weighs_rate: True"),
    ("estimator", "analytic_kl", {}, "needs_closed_form_kl", "its YAML does not state needs_closed_form_kl"),
    ("posterior", "bottom_up", {"top_given_image": True}, "top_given_image", "its distribution has no top()"),
    ("posterior", "ladder", {}, "top_given_image", "its YAML does not state top_given_image"),
    (
        *("prior", "hierarchical_vamp", {"support": "layers", "takes": ["image_shape", "train_images"]}),
        *("needs_top_given_image", "its YAML does not state needs_top_given_image, and it asks for the posterior's"),
    ),
    ("prior", "hierarchical", {"support": "layers", "needs_top_given_image": True}, "needs_top_given_image", "not ask"),
    ("encoder", "mlp", {"convolutional": True}, "facts", "convolutional: True, and it has no kernels of convolutions"),
    ("decoder", "mlp", {"convolutional": True}, "facts", "convolutional: True, and it has no kernels of convolutions"),
]


@pytest.mark.parametrize(("axis", "name", "facts", "check", "message"), FALSE)
def test_facts_that_are_false_are_caught(axis, name, facts, check, message):
    trial = Trial(axis, name, {**on_trial(axis, name).option, "facts": facts})
    with pytest.raises(AssertionError, match=f"{axis}={name}: ") as error:
        run_check(next(one for one in CHECKS[axis] if one.__name__ == check), trial)
    assert message in str(error.value)


def test_an_encoder_of_another_width_is_caught():
    option = {"_target_": of(Wide, "encoder", "linear").option["_target_"]}
    assert fault(Trial("encoder", "mine", option)) == "encoder=mine: of output_size=4 it gives features (2, 5)"


def test_an_error_of_the_part_s_own_says_what_was_asked_of_it():
    trial = of(MVN, nonsense=3)
    with pytest.raises(Exception, match="nonsense") as error:
        run_check(CHECKS["prior"][0], trial)
    assert error.value.__notes__ == [
        "prior=mine, while this was checked: It gives a distribution without a batch, whose event is the latent."
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("priors", "mvn"), "axis=priors is not one of: encoder, decoder"),
        (("prior", "mvm"), "prior=mvm: there is no such option; there are autoregressive"),
        (("prior", "mixture", "component"), "prior=mixture has no setting component; it has"),
    ],
)
def test_what_is_not_there_is_refused(asked, message):
    with pytest.raises(UsageError, match=message):
        check_part(*asked[:2], **dict.fromkeys(asked[2:], 1))
