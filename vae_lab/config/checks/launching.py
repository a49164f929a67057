"""What Hydra itself would import or run by a configuration, looked at before Hydra does so."""

from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import OmegaConf

from vae_lab.config.checks.lookups import check_interpolations, texts_in
from vae_lab.config.checks.targets import SEARCHES, check_allowed
from vae_lab.config.credentials import STORAGE, STORAGE_PASSWORD, has_password, without_password
from vae_lab.config.options import option_names, read_option
from vae_lab.errors import UsageError

SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
# By node, the classes that the options of conf/hydra/ name.
PLUGINS = {
    "launcher": (
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
        f"{SUBMITIT}.LocalLauncher",
        f"{SUBMITIT}.SlurmLauncher",
    ),
    "sweeper": (
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "hydra_plugins.vae_lab_sweepers.OptunaSweeper",
        "hydra_plugins.vae_lab_sweepers.StudySweeper",
    ),
}
SHELL = ("setup", "python", "srun_args", "additional_parameters", "runtime_env")  # of launchers, run as they are
LOGS = ("hydra_logging", "job_logging")
# What Python's logging may be told to import: handlers, formatters, streams.
OF_LOGS = (
    *(f"logging.{name}" for name in ("FileHandler", "Formatter", "NullHandler", "StreamHandler")),
    "colorlog.ColoredFormatter",
)
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")


def check_program(cfg: Any, given: Iterable[str]) -> None:
    """Refuses what would be imported, run or looked up by a composed configuration before any job is checked.

    Args:
      cfg: with Hydra's own node, nothing resolved.
      given: the overrides of the command line.

    Raises:
      UsageError: naming the first such key.
    """
    given = list(given)
    check_interpolations(cfg, given)
    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    plain_hydra = plain.pop("hydra")
    check_hydra(plain_hydra)
    check_shell(plain_hydra, tuple(word.lstrip("+") for word in given))
    check_allowed(plain)
    study = plain.get("study") or {}
    for name, overrides in {**(study.get("arms") or {}), "short": study.get("short")}.items():
        for key in overrides if isinstance(overrides, Mapping) else ():
            if str(key).lstrip("+~").startswith("hydra"):
                raise UsageError(f"study.arms.{name} sets {key}: Hydra's settings are of the whole sweep; leave it out")
    storage = str((plain_hydra.get("sweeper") or {}).get("storage"))
    if has_password(storage):
        raise UsageError(
            f"{STORAGE}={without_password(storage)}: a file must hold no password; give the address on the command "
            f"line, or set {STORAGE_PASSWORD}"
        )


def check_shell(node: Mapping[str, Any], given: tuple[str, ...]) -> None:
    """Refuses lines for a shell and variables of the environment that neither the user nor the launcher's option gives.

    Raises:
      UsageError: naming the first such key.
    """
    launcher: Mapping[str, Any] = node.get("launcher") or {}
    option: Any = {}
    if (chosen := str(node["runtime"]["choices"].get("hydra/launcher"))) in option_names("hydra/launcher"):
        option = OmegaConf.to_container(read_option("hydra/launcher", chosen), resolve=False)
    found = {f"hydra.launcher.{key}": (launcher.get(key), option.get(key)) for key in SHELL}
    found["hydra.job.env_set"] = node["job"]["env_set"], None
    for key, (value, stated) in found.items():
        if value and value != stated and not any(word.startswith(key) for word in given):
            raise UsageError(f"{key}={value}: a file does not set this for you; give it on the command line")


def check_hydra(node: Mapping[str, Any]) -> None:
    """Refuses a class in Hydra's own node that is none of its launchers, sweepers, samplers, pruners and logs.

    Raises:
      UsageError: naming the first such key.
    """
    rest: dict[str, Any] = dict(node)
    for name, plugins in PLUGINS.items():
        plugin = dict(rest.pop(name, None) or {})
        target = plugin.pop("_target_", None)
        if target is not None and target not in plugins:
            raise UsageError(f"hydra.{name}._target_={target}: it can be {', '.join(plugins)}; choose hydra/{name}=")
        check_allowed({f"hydra.{name}": plugin}, SEARCHES if name == "sweeper" else {})
    for name in LOGS:
        for key, text in texts_in(rest.get(name) or {}):
            imported = key.rpartition(".")[2] in ("class", "()")
            allowed = text in OF_LOGS if imported else text in STREAMS or not text.startswith(("ext://", "cfg://"))
            if not allowed:
                raise UsageError(f"hydra.{name}.{key}={text} is not imported; a log may use {', '.join(OF_LOGS)}")
    check_allowed({"hydra": rest}, {})
