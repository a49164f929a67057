"""A study's results as a page of the documentation: what a reader needs to check it against their own run."""

from vae_lab.report.files import verdicts_markdown
from vae_lab.report.format import interval, number, p_text, seeds_text
from vae_lab.report.headline import headline, method, origin, rule
from vae_lab.report.report import Report
from vae_lab.report.table import markdown_table, markdown_text
from vae_lab.tracking.environment import COMMIT


def results_markdown(report: Report) -> str:
    """The results in Markdown: verdicts, table, differences, values by seed, where they are from."""
    study = report.study
    parts = [
        f"# {study.name}\n",
        f"{markdown_text(study.question or '')}\n",
        f"    {study.command}\n",
        f"{headline(report)}\n",
    ]
    if report.verdicts:
        parts += [verdicts_markdown(report), f"{rule(report)}\n"]
    parts += ["## Results\n", report.table.markdown()]
    parts.append("Mean ± standard error over seeds; nats per image, bits_per_dim in bits.\n")
    if report.comparisons:
        title = f"## Differences from {report.named(report.reference)}: {study.metric}\n"
        parts += [title, differences_markdown(report), f"{method(report)}\n"]
    parts += [f"## By seed: {study.metric}\n", seeds_markdown(report)]
    parts += ["## Where it is from\n", "".join(f"- {name}: {text}\n" for name, text in origin(report))]
    if commits := sorted({run.tags.get(COMMIT, "")[:12] for run in report.runs.all} - {""}):
        parts.append(f"Commits of the runs: {', '.join(commits)}.\n")
    parts += [f"Note: {note}.\n" for note in report.notes]
    parts += ["## Identities\n", identities_markdown(report)]
    parts.append(
        "What each number is the result of: settings, data and code. `sweep.plan=true` compares with the present.\n"
    )
    if report.runs.aside:
        parts += ["## Not in the numbers\n", aside_markdown(report)]
    return "\n".join(parts)


def differences_markdown(report: Report) -> str:
    """The comparisons, or why there is none."""
    rows = []
    for one in report.comparisons:
        if one.refused or one.over_seeds is None:
            rows.append([report.named(one.arm), one.refused or "", "", "", "", ""])
            continue
        seeds, images = one.over_seeds, one.over_images
        row = [report.named(one.arm), number(seeds.mean, True), interval(seeds.low, seeds.high, True)]
        row += [p_text(one.seeds_holm, report.mark(one.arm, one.reference)), seeds_text(one.needed)]
        rows.append([*row, interval(images.low, images.high, True) if images else "–"])
    return markdown_table(["arm", "difference", "95% over seeds", "p, Holm", "seeds needed", "95% over images"], rows)


def identities_markdown(report: Report) -> str:
    """The identity of each counted number."""
    there = [job for job in report.study.jobs if job.seed in report.runs.counted[job.arm]]
    rows = [[job.arm, str(job.seed), f"`{job.evaluation}`"] for job in there]
    return markdown_table(["arm", "seed", "identity"], rows, left=3)


def seeds_markdown(report: Report) -> str:
    """The study's metric of each arm and seed."""
    seeds = sorted({seed for runs in report.runs.counted.values() for seed in runs})
    rows = [
        [
            report.named(arm),
            *(
                f"{runs[seed].metrics[report.study.metric]:.4f}"
                if seed in runs and report.study.metric in runs[seed].metrics
                else ""
                for seed in seeds
            ),
        ]
        for arm, runs in report.runs.counted.items()
    ]
    return markdown_table(["arm", *(f"seed {seed}" for seed in seeds)], rows)


def aside_markdown(report: Report) -> str:
    """Runs and jobs that do not count, and why."""
    rows = [[one.arm, "" if one.seed is None else str(one.seed), one.state, one.why] for one in report.runs.aside]
    return markdown_table(["arm", "seed", "state", "why"], rows)
